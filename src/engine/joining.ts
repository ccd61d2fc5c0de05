import { ColmenaError } from '../base/errors.ts'
import type { Cancel, Clock } from '../base/ports.ts'
import type { MemberRecord } from '../command/command.ts'
import type { MemberId } from '../raft/raft.ts'
import { readReply, type Transport } from '../transport/transport.ts'
import {
  CALLS,
  type ClusterFound,
  decodeClusterFound,
  decodeLeaderAnswer,
  encodeJoin,
  encodeRejoin,
} from './wire.ts'

const CALL_TIMEOUT_MS = 2_000
const PAUSE_MS = 200

export interface JoiningOptions {
  readonly transport: Transport
  readonly clock: Clock
  readonly addresses: readonly string[]
  readonly joinTimeoutMs: number
  readonly warning: (code: string, message: string) => void
}

interface Question<T> {
  readonly kind: number
  readonly body: Uint8Array
  readonly decode: (answer: Uint8Array) => T
}

/**
 * A joiner's way into its cluster: ask each address in turn until one answers, follow its word of
 * who leads, and keep trying until the deadline. Every failure is told once with its address.
 */
export class Joining {
  readonly #options: JoiningOptions
  readonly #failures = new Map<string, string>()
  readonly #deadlineMs: number
  #cancel: Cancel | null = null
  #isOver = false

  constructor(options: JoiningOptions) {
    this.#options = options
    this.#deadlineMs = options.clock.nowMs() + options.joinTimeoutMs
  }

  /** Learns which cluster answers at the addresses. */
  findCluster(done: (error: ColmenaError | null, found: ClusterFound | null) => void): void {
    const body = new Uint8Array(0)
    const question = { kind: CALLS.findCluster, body, decode: decodeClusterFound }
    this.#ask(this.#options.addresses, 0, question, done)
  }

  /** Asks to be taken in, perhaps in place of another; done once the leader has applied it. */
  join(
    record: MemberRecord,
    replaced: MemberId | null,
    firstAddress: string,
    done: (error: ColmenaError | null) => void,
  ): void {
    const addresses = this.#options.addresses
    const first = firstAddress === '' ? addresses : [firstAddress, ...addresses]
    const kind = replaced === null ? CALLS.join : CALLS.rejoin
    const body = replaced === null ? encodeJoin(record) : encodeRejoin(replaced, record)
    this.#ask(first, 0, { kind, body, decode: decodeLeaderAnswer }, (error, answer) => {
      if (answer === null || answer.kind === 'done') done(error)
      else if (answer.kind === 'refused' && !answer.error.retryable) done(answer.error)
      else {
        if (answer.kind === 'refused') this.#failed('the leader', answer.error.message)
        const next = answer.kind === 'elsewhere' ? answer.address : ''
        this.#again(() => this.join(record, replaced, next, done), done)
      }
    })
  }

  /**
   * Taken in, this node must be reached where it said it is. Once the leader has, time is its
   * own: whole databases may have to come first.
   */
  awaitLeader(
    ownAddress: string,
    isReached: () => boolean,
    failed: (error: ColmenaError) => void,
  ): void {
    const { clock, joinTimeoutMs } = this.#options
    if (this.#isOver) return
    const leftMs = Math.max(this.#deadlineMs - clock.nowMs(), CALL_TIMEOUT_MS)
    this.#cancel = clock.setTimer(leftMs, () => {
      if (this.#isOver || isReached()) return
      failed(
        new ColmenaError(
          'ERR_JOIN_FAILED',
          `the cluster took this node in, but did not reach it at ${ownAddress} within ` +
            `${joinTimeoutMs} ms: check advertise, and what may stand between (a firewall, an ` +
            'address translation), then open it again',
          { retryable: true },
        ),
      )
    })
  }

  /** Ends it; no callback is called any more. */
  stop(): void {
    this.#isOver = true
    this.#cancel?.()
  }

  #ask<T>(
    addresses: readonly string[],
    at: number,
    question: Question<T>,
    done: (error: ColmenaError | null, answer: T | null) => void,
  ): void {
    if (this.#isOver) return
    const address = addresses[at]
    if (address === undefined) {
      this.#again(
        () => this.#ask(this.#options.addresses, 0, question, done),
        (error) => done(error, null),
      )
      return
    }
    const { kind, body, decode } = question
    const answered = readReply(decode, (error, answer) => {
      if (this.#isOver) return
      if (answer !== null) {
        this.#failures.delete(address)
        done(null, answer)
        return
      }
      // No time makes two lists one.
      if (error?.code === 'ERR_OTHER_EXTENSIONS') {
        done(error, null)
        return
      }
      this.#failed(address, error?.message ?? 'no answer')
      this.#ask(addresses, at + 1, question, done)
    })
    this.#options.transport.call(address, kind, body, CALL_TIMEOUT_MS, answered)
  }

  #failed(address: string, reason: string): void {
    if (this.#failures.get(address) !== reason) {
      this.#options.warning(
        'ERR_JOIN_FAILED',
        `can't join through ${address}: ${reason}; trying on`,
      )
    }
    this.#failures.set(address, reason)
  }

  #again(retry: () => void, failed: (error: ColmenaError) => void): void {
    const { clock, joinTimeoutMs } = this.#options
    if (this.#isOver) return
    if (clock.nowMs() < this.#deadlineMs) {
      this.#cancel = clock.setTimer(PAUSE_MS, retry)
      return
    }
    const reasons = [...this.#failures].map(([address, reason]) => `${address}: ${reason}`)
    failed(
      new ColmenaError(
        'ERR_JOIN_FAILED',
        `no cluster took this node in within ${joinTimeoutMs} ms (${
          reasons.join('; ') || 'a cluster was found, but it has no leader'
        }). Check the addresses, that the cluster has a leader, and the secret`,
        { retryable: true },
      ),
    )
  }
}
