import { DecodeError } from '../base/bytes.ts'
import { ColmenaError } from '../base/errors.ts'
import type { Cancel, Clock } from '../base/ports.ts'
import { type Reply, readReply, type Transport } from '../transport/transport.ts'
import type { Around, Forming, Seeker } from './forming.ts'
import type { JoinDeadline } from './join-deadline.ts'
import {
  CALLS,
  decodeMeetAnswer,
  decodeSeeker,
  encodeMeetAnswer,
  encodeSeeker,
  type MemberMet,
} from './wire.ts'

const CALL_TIMEOUT_MS = 2_000
/** Asked at once; of more addresses the rest comes in the next round. */
const ASKED_MAX = 64
const TOLD_AGAIN_MS = 2_000
/** How nodes answer that are awaited, and not up yet. */
const NOT_YET: ReadonlySet<unknown> = new Set(['ERR_FAILED', 'ERR_BUSY', 'ERR_TIMEOUT'])
/** By what nobody answers who can have a cluster. Whoever refuses this node may have one. */
const NOBODY: ReadonlySet<unknown> = new Set([
  'ERR_FAILED',
  'ERR_TIMEOUT',
  'ERR_HANDSHAKE',
  'ERR_OWN_ADDRESS',
])

export interface SearchOptions {
  readonly transport: Transport
  readonly clock: Clock
  readonly deadline: JoinDeadline
  /** Where nodes may be, as known at this moment. */
  readonly addresses: () => readonly string[]
  /** Whether that is known at all. */
  readonly isTold: () => boolean
  readonly ownAddress: string
  /** Who this node is as one that only joins. */
  readonly own: Pick<Seeker, 'memberId' | 'nodeId'>
  /** Null for a node that waits for a cluster, and never begins one. */
  readonly forming: Forming | null
  /** Between two rounds. */
  readonly pauseMs: number
  readonly warning: (code: string, message: string) => void
}

/** The cluster that was found; null: this node is to begin one. */
export type SearchDone = (error: ColmenaError | null, found: MemberMet | null) => void

/**
 * How a node without a cluster finds one: all addresses are asked again and again who is there,
 * until a member answers, or those that look for one too have agreed that this node begins it.
 */
export class Search {
  readonly #options: SearchOptions
  readonly #done: SearchDone
  readonly #asked = new Set<string>()
  /** Where nobody is who can have a cluster, by the last answer. */
  readonly #clear = new Set<string>()
  #next = 0
  #hasFound = false
  #cancel: Cancel | null = null
  #isOver = false
  #told = ''
  #toldMs = Number.NEGATIVE_INFINITY

  constructor(options: SearchOptions, done: SearchDone) {
    this.#options = options
    this.#done = done
    this.#round()
  }

  /** Ends it; `done` is called no more. Others are still answered. */
  stop(): void {
    this.#isOver = true
    this.#cancel?.()
  }

  /** Another node asks who is here. */
  answer(body: Uint8Array, reply: Reply): void {
    try {
      const seeker = decodeSeeker(body)
      const agrees = !this.#hasFound && this.#options.forming?.asked(seeker) === true
      reply(null, encodeMeetAnswer({ kind: 'seeker', seeker: this.#seeker(), agrees }))
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      reply(new ColmenaError('ERR_INVALID_ARGUMENT', `not a meeting: ${error.message}`))
    }
  }

  /** One that has found a cluster gives no word to those who would begin another. */
  #seeker(): Seeker {
    const { own, forming } = this.#options
    if (forming === null || this.#hasFound) return { ...own, stance: 'joining' }
    return forming.own
  }

  get #around(): Around {
    const { addresses, ownAddress, isTold } = this.#options
    const isClear = addresses().every((one) => one === ownAddress || this.#clear.has(one))
    return { isTold: isTold(), isClear }
  }

  #round(): void {
    const { forming, clock, deadline, pauseMs } = this.#options
    if (forming?.step(this.#around) === true) {
      this.#end(null, null)
      return
    }
    if (deadline.leftMs === 0) {
      this.#end(deadline.error(forming?.describe() ?? 'no address is known'), null)
      return
    }
    this.#tell()
    const seeker = this.#seeker()
    for (const address of this.#addresses()) this.#ask(address, seeker)
    if (!this.#isOver) this.#cancel = clock.setTimer(pauseMs, () => this.#round())
  }

  #addresses(): readonly string[] {
    const { addresses, ownAddress } = this.#options
    const idle = addresses().filter(
      (address) => address !== ownAddress && !this.#asked.has(address),
    )
    const count = Math.min(idle.length, ASKED_MAX - this.#asked.size)
    const from = this.#next
    this.#next += count
    return Array.from({ length: count }, (_, at) => idle[(from + at) % idle.length] as string)
  }

  #ask(address: string, seeker: Seeker): void {
    const { transport, clock, deadline, forming } = this.#options
    const askedMs = clock.nowMs()
    this.#asked.add(address)
    const answered = readReply(decodeMeetAnswer, (error, answer) => {
      this.#asked.delete(address)
      if (this.#isOver) return
      const isNobody = answer === null ? NOBODY.has(error?.code) : answer.kind === 'seeker'
      if (isNobody) this.#clear.add(address)
      else this.#clear.delete(address)
      if (answer === null) {
        this.#failed(address, error)
        return
      }
      deadline.answered(address)
      if (answer.kind === 'member') this.#end(null, answer)
      else if (forming !== null) {
        forming.answered(answer.seeker, seeker.stance, answer.agrees, askedMs)
      } else deadline.failed(address, `node '${answer.seeker.nodeId}' has no cluster yet either`)
    })
    transport.call(address, CALLS.meet, encodeSeeker(seeker), CALL_TIMEOUT_MS, answered)
  }

  #failed(address: string, error: ColmenaError | null): void {
    const { deadline, forming } = this.#options
    // No time makes two lists one; and from itself a node learns nothing.
    if (error?.code === 'ERR_OTHER_EXTENSIONS') this.#end(error, null)
    else if (error?.code !== 'ERR_OWN_ADDRESS') {
      const isAwaited = forming !== null && NOT_YET.has(error?.code)
      deadline.failed(address, error?.message ?? 'no answer', isAwaited)
    }
  }

  /** Waiting shows what for. */
  #tell(): void {
    const { forming, clock, warning } = this.#options
    const text = forming?.describe() ?? ''
    const nowMs = clock.nowMs()
    if (text === this.#told || nowMs - this.#toldMs < TOLD_AGAIN_MS) return
    this.#told = text
    this.#toldMs = nowMs
    warning('ERR_JOIN_FAILED', `no cluster yet: ${text}`)
  }

  #end(error: ColmenaError | null, found: MemberMet | null): void {
    if (this.#isOver) return
    this.stop()
    this.#hasFound = found !== null
    this.#done(error, found)
  }
}
