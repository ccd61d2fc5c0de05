import { ColmenaError, type ErrorCode } from '../base/errors.ts'
import type { MemberId, Raft } from '../raft/raft.ts'
import type { EngineToUser, ErrorMessage } from './protocol.ts'

export interface HandlingOptions {
  readonly raft: Pick<Raft, 'role'>
  /** This node's own name. */
  readonly own: string
  readonly nodeId: (id: MemberId) => string | null
  readonly toUser: (message: EngineToUser) => void
}

export type Answered = (error: ColmenaError | null, bytes: Uint8Array | null) => void

interface Handled {
  readonly done: Answered
  readonly sizeBytes: number
}

/** Calls that this node's user has and has not answered, and their bytes: he may be busy. */
const HANDLED_MAX = 1_024
const HANDLED_BYTES_MAX = 64 * 1024 * 1024

/** The leader's side of forwarded calls: each goes to this node's user, who answers once. */
export class Handling {
  readonly #options: HandlingOptions
  readonly #handled = new Map<number, Handled>()
  #sizeBytes = 0
  #lastId = 0

  constructor(options: HandlingOptions) {
    this.#options = options
  }

  hand(from: MemberId, bytes: Uint8Array, done: Answered): void {
    const { raft, own, nodeId, toUser } = this.#options
    if (raft.role !== 'leader') {
      done(unreached('the node that was asked leads no more'), null)
      return
    }
    const sizeBytes = this.#sizeBytes + bytes.length
    if (this.#handled.size >= HANDLED_MAX || sizeBytes > HANDLED_BYTES_MAX) {
      const message =
        `the leader has ${this.#handled.size} calls of ${this.#sizeBytes} bytes to answer: try ` +
        'again later'
      done(new ColmenaError('ERR_BUSY', message, { retryable: true }), null)
      return
    }
    this.#lastId += 1
    const id = this.#lastId
    this.#handled.set(id, { done, sizeBytes: bytes.length })
    this.#sizeBytes = sizeBytes
    const names = { from: nodeId(from) ?? '', leader: own }
    // A view of a socket's bytes would take all of them along.
    toUser({ kind: 'handle', id, ...names, bytes: bytes.slice() })
  }

  handled(id: number, bytes: Uint8Array | null, error: ErrorMessage | null): void {
    const handled = this.#handled.get(id)
    if (handled === undefined) return
    this.#handled.delete(id)
    this.#sizeBytes -= handled.sizeBytes
    if (error === null) {
      handled.done(null, bytes)
      return
    }
    const { code, message, retryable, outcome } = error
    handled.done(new ColmenaError(code as ErrorCode, message, { retryable, outcome }), null)
  }
}

/** No handler has it, and another leader may take it. */
export function unreached(message: string): ColmenaError {
  return new ColmenaError('ERR_NO_LEADER', message, { retryable: true })
}
