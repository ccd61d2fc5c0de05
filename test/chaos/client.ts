import type { Outcome } from '../../src/index.ts'
import { RemoteError } from '../processes/node-handle.ts'
import type { NodeCalls } from '../processes/protocol.ts'
import type { SeededRandom } from '../simulated/random.ts'
import { inTime } from './in-time.ts'
import { judgeError } from './promises.ts'
import { REQUEST_TIMEOUT_MS, type Rig, type Seat } from './rig.ts'
import type { Verdict } from './verdict.ts'

/** A node answers by its own deadline; one that stands still does not. */
const PATIENCE_MS = REQUEST_TIMEOUT_MS + 2_000

export type Answer<T> = Times &
  (
    | { readonly value: T; readonly fate: 'ok'; readonly code: '' }
    | { readonly value: null; readonly fate: Outcome; readonly code: string }
  )

export interface Times {
  readonly at: number
  readonly callMs: number
  /** Also of a failure: when it was told. */
  readonly returnMs: number
}

type Value<Name extends keyof NodeCalls> = Awaited<ReturnType<NodeCalls[Name]>>

/**
 * Somebody outside of all nodes, who asks one of them at a time. Nothing is tried again: what a
 * call came to is what its caller was told.
 */
export class Client {
  readonly number: number
  readonly random: SeededRandom
  readonly #rig: Pick<Rig, 'seats'>
  readonly #verdict: Verdict

  constructor(number: number, rig: Pick<Rig, 'seats'>, random: SeededRandom, verdict: Verdict) {
    this.number = number
    this.random = random
    this.#rig = rig
    this.#verdict = verdict
  }

  /** One of the nodes that take calls, by chance; null while there is none. */
  pick(): Seat | null {
    const open = this.#rig.seats.filter(({ isOpen }) => isOpen)
    return open.length === 0 ? null : (open[this.random.below(open.length)] as Seat)
  }

  async call<Name extends keyof NodeCalls>(
    seat: Seat,
    method: Name,
    ...args: Parameters<NodeCalls[Name]>
  ): Promise<Answer<Value<Name>>> {
    const callMs = performance.now()
    const told = (): Times => ({ at: seat.at, callMs, returnMs: performance.now() })
    const { handle } = seat
    if (handle === null || !handle.isRunning) {
      return { ...told(), value: null, fate: 'not-applied', code: 'DOWN' }
    }
    try {
      const value = (await inTime(PATIENCE_MS, handle.call(method, ...args))) as Value<Name>
      return { ...told(), value, fate: 'ok', code: '' }
    } catch (error) {
      return { ...told(), value: null, ...this.#take(method, error) }
    }
  }

  /** What is no word of the product says nothing of what became of the call. */
  #take(
    method: keyof NodeCalls,
    error: unknown,
  ): { readonly fate: Outcome; readonly code: string } {
    if (!(error instanceof RemoteError)) return { fate: 'unknown', code: (error as Error).name }
    if (error.outcome === undefined) return { fate: 'unknown', code: error.code || error.message }
    const wrong = judgeError(method, error)
    if (wrong !== null) this.#verdict.add('broken', wrong)
    return { fate: error.outcome as Outcome, code: error.code }
  }
}
