import type { Clock } from '../base/ports.ts'
import {
  commandKind,
  decodeWriteHeader,
  encodeRaiseFormat,
  packWrite,
  type RoutedWrite,
  unpackWrite,
} from '../command/command.ts'
import type { Raft } from '../raft/raft.ts'
import type { PeerHello, Refusal } from '../transport/transport.ts'
import { FORMATS } from './settings.ts'

/** The first format that has packed writes. */
const PACKED_SINCE = 2

export interface FormatsOptions {
  readonly raft: Pick<Raft, 'role' | 'propose' | 'committedInOwnTerm'>
  readonly clock: Clock
  readonly askAgainMs: number
  /** What this cluster writes already. */
  readonly format: number
  /** Of the other members, as each last said; null for one that was never heard. */
  readonly others: () => readonly (number | null)[]
}

/**
 * Which format the cluster writes: the newest that every member reads, absent ones and learners
 * included. It is raised by an entry of the log, which apply judges by what the members told when
 * they registered, and never lowered; whoever reads less is not let in any more.
 */
export class Formats {
  readonly #options: FormatsOptions
  #format: number
  #askedMs = Number.NEGATIVE_INFINITY

  constructor(options: FormatsOptions) {
    this.#options = options
    this.#format = options.format
  }

  /** The newest format that commands may have. */
  get effective(): number {
    return this.#format
  }

  applied(format: number): void {
    this.#format = format
  }

  /** On the leader: asks for a newer format once all members that were heard read it. */
  tick(): void {
    const { raft, clock, askAgainMs, others } = this.#options
    if (raft.role !== 'leader' || !raft.committedInOwnTerm) return
    const known = others()
    if (known.includes(null)) return
    const format = Math.min(FORMATS.formatMax, ...(known as readonly number[]))
    const nowMs = clock.nowMs()
    if (format <= this.#format || nowMs - this.#askedMs < askAgainMs) return
    this.#askedMs = nowMs
    raft.propose([encodeRaiseFormat({ format })])
  }

  /** A write as it goes into the log. */
  pack(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    return this.#format >= PACKED_SINCE ? packWrite(bytes) : bytes
  }

  /** Why a process that reads less than is written can't be a member; null if it can. */
  refusal({ nodeId, formatMax }: Pick<PeerHello, 'nodeId' | 'formatMax'>): Refusal | null {
    if (formatMax >= this.#format) return null
    const message =
      `node '${nodeId}' reads formats up to ${formatMax}, and this cluster writes format ` +
      `${this.#format} already: update colmena on it`
    return { code: 'ERR_UNSUPPORTED_FORMAT', message }
  }
}

/** What an entry's payload says where it is a write, packed or not; null for any other. */
export function routedWrite(data: Uint8Array): RoutedWrite | null {
  switch (commandKind(data)) {
    case 'write':
      return decodeWriteHeader(data)
    case 'packedWrite':
      return decodeWriteHeader(unpackWrite(data))
    default:
      return null
  }
}
