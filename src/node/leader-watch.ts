import { ColmenaError } from '../base/errors.ts'
import type { MemberStatus } from '../engine/engine.ts'
import { checkSignal, invalid, show } from './arguments.ts'
import { abortedError, checkNotAborted } from './failures.ts'
import { checkKeys } from './nearest.ts'
import { TIMER_MS_MAX } from './option-checks.ts'

/** Who leads. */
export interface Leader {
  /** Its node id. */
  readonly id: string
  /** What peers dial; '' for a single node without network. */
  readonly address: string
}

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number | undefined
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
export function checkWaitOptions(options: WaitOptions): WaitOptions {
  checkKeys(options, ['timeoutMs', 'signal'], invalid, ' of waitForLeader')
  const { timeoutMs, signal } = options
  if (timeoutMs !== undefined) checkTimeout(timeoutMs)
  return { timeoutMs, signal: checkSignal(signal) }
}

interface Waiter {
  readonly resolve: (leader: Leader) => void
  readonly fail: (error: ColmenaError) => void
}

/** What this node was last told of leader and members, and who waits for a leader. */
export class LeaderWatch {
  readonly #leaderMember: () => number
  readonly #changed: (id: string | null, term: number) => void
  readonly #waiters = new Set<Waiter>()
  #members: readonly MemberStatus[] = []
  #leader: Leader | null = null
  #term = 0

  /** `leaderMember`: the leader's member id as the engine publishes it, 0 for none. */
  constructor(leaderMember: () => number, changed: (id: string | null, term: number) => void) {
    this.#leaderMember = leaderMember
    this.#changed = changed
  }

  get leader(): Leader | null {
    return this.#leader
  }

  leaderChanged(id: string | null, term: number): void {
    const address = this.#members.find(({ nodeId }) => nodeId === id)?.address ?? ''
    this.#set(id === null ? null : { id, address }, term)
  }

  /** Also tells who the leader is, where its name was not known before. */
  membersChanged(members: readonly MemberStatus[]): void {
    this.#members = members
    const leader = members.find(({ memberId }) => memberId === this.#leaderMember())
    if (leader !== undefined) this.#set({ id: leader.nodeId, address: leader.address }, this.#term)
  }

  #set(leader: Leader | null, term: number): void {
    const isNews = leader?.id !== this.#leader?.id || term !== this.#term
    this.#leader = leader
    this.#term = term
    if (isNews) this.#changed(leader?.id ?? null, term)
    if (leader === null) return
    for (const waiter of [...this.#waiters]) waiter.resolve(leader)
  }

  /** The node has ended: nobody leads here any more. */
  failAll(error: ColmenaError): void {
    this.#leader = null
    for (const waiter of [...this.#waiters]) waiter.fail(error)
  }

  /** @throws ColmenaError ERR_TIMEOUT or ERR_ABORTED */
  wait(signal: AbortSignal | undefined, timeoutMs: number): Promise<Leader> {
    return new Promise((resolve, reject) => {
      checkNotAborted(signal)
      const { leader } = this
      if (leader !== null) {
        resolve(leader)
        return
      }
      const settle = (): void => {
        this.#waiters.delete(waiter)
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
      }
      const waiter: Waiter = {
        resolve: (found) => {
          settle()
          resolve(found)
        },
        fail: (error) => {
          settle()
          reject(error)
        },
      }
      const abort = (): void => waiter.fail(abortedError(signal as AbortSignal))
      const timer = setTimeout(() => waiter.fail(noLeaderInTime(timeoutMs)), timeoutMs)
      signal?.addEventListener('abort', abort, { once: true })
      this.#waiters.add(waiter)
    })
  }
}

function checkTimeout(timeoutMs: unknown): void {
  const isNumber = Number.isInteger(timeoutMs)
  if (isNumber && (timeoutMs as number) >= 0 && (timeoutMs as number) <= TIMER_MS_MAX) return
  throw invalid(`timeoutMs is ${show(timeoutMs)}; it is milliseconds, 0 to ${TIMER_MS_MAX}`)
}

function noLeaderInTime(timeoutMs: number): ColmenaError {
  return new ColmenaError(
    'ERR_TIMEOUT',
    `no leader was seen within ${timeoutMs} ms. Is a majority of the voters running and reachable?`,
    { retryable: true },
  )
}
