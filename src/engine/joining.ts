import { ColmenaError } from '../base/errors.ts'
import type { Cancel, Clock } from '../base/ports.ts'
import type { MemberRecord } from '../command/command.ts'
import type { MemberId } from '../raft/raft.ts'
import { readReply, type Transport } from '../transport/transport.ts'
import type { JoinDeadline } from './join-deadline.ts'
import { CALLS, decodeLeaderAnswer, encodeJoin, encodeRejoin, type LeaderAnswer } from './wire.ts'

const CALL_TIMEOUT_MS = 2_000
const PAUSE_MS = 200

export interface JoiningOptions {
  readonly transport: Transport
  readonly clock: Clock
  readonly deadline: JoinDeadline
  /** Where members may be, as known at this moment. */
  readonly addresses: () => readonly string[]
}

interface Question {
  readonly kind: number
  readonly body: Uint8Array
}

/**
 * A joiner's way into a cluster that it knows: ask each address in turn until one answers, follow
 * its word of who leads, and keep trying until the deadline.
 */
export class Joining {
  readonly #options: JoiningOptions
  #cancel: Cancel | null = null
  #isOver = false

  constructor(options: JoiningOptions) {
    this.#options = options
  }

  /** Asks to be taken in, perhaps in place of another; done once the leader has applied it. */
  join(
    record: MemberRecord,
    replaced: MemberId | null,
    firstAddress: string,
    done: (error: ColmenaError | null) => void,
  ): void {
    const addresses = this.#options.addresses()
    const first = firstAddress === '' ? addresses : [firstAddress, ...addresses]
    const kind = replaced === null ? CALLS.join : CALLS.rejoin
    const body = replaced === null ? encodeJoin(record) : encodeRejoin(replaced, record)
    this.#ask(first, 0, { kind, body }, (error, answer) => {
      if (answer === null || answer.kind === 'done') done(error)
      else if (answer.kind === 'refused' && !answer.error.retryable) done(answer.error)
      else {
        if (answer.kind === 'refused') {
          this.#options.deadline.failed('the leader', answer.error.message)
        }
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
    const { clock, deadline } = this.#options
    if (this.#isOver) return
    const leftMs = Math.max(deadline.leftMs, CALL_TIMEOUT_MS)
    this.#cancel = clock.setTimer(leftMs, () => {
      if (this.#isOver || isReached()) return
      failed(
        new ColmenaError(
          'ERR_JOIN_FAILED',
          `the cluster took this node in, but did not reach it at ${ownAddress} in time: check ` +
            'advertise, and what may stand between (a firewall, an address translation), then ' +
            'open it again',
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

  #ask(
    addresses: readonly string[],
    at: number,
    question: Question,
    done: (error: ColmenaError | null, answer: LeaderAnswer | null) => void,
  ): void {
    if (this.#isOver) return
    const { deadline, transport } = this.#options
    const address = addresses[at]
    if (address === undefined) {
      this.#again(
        () => this.#ask(this.#options.addresses(), 0, question, done),
        (error) => done(error, null),
      )
      return
    }
    const { kind, body } = question
    const answered = readReply(decodeLeaderAnswer, (error, answer) => {
      if (this.#isOver) return
      if (answer !== null) deadline.answered(address)
      // Joiners that ask each other would never hear more than that.
      const knowsNobody = answer?.kind === 'elsewhere' && answer.address === ''
      if (answer !== null && !knowsNobody) {
        done(null, answer)
        return
      }
      // No time makes two lists one.
      if (error?.code === 'ERR_OTHER_EXTENSIONS') {
        done(error, null)
        return
      }
      if (error !== null && error.code !== 'ERR_OWN_ADDRESS')
        deadline.failed(address, error.message)
      this.#ask(addresses, at + 1, question, done)
    })
    transport.call(address, kind, body, CALL_TIMEOUT_MS, answered)
  }

  #again(retry: () => void, failed: (error: ColmenaError) => void): void {
    const { clock, deadline } = this.#options
    if (this.#isOver) return
    if (deadline.leftMs > 0) this.#cancel = clock.setTimer(PAUSE_MS, retry)
    else failed(deadline.error('a cluster was found, but it has no leader'))
  }
}
