import { ColmenaError } from '../base/errors.ts'
import type { SharedState } from '../base/shared-state.ts'
import { decodeCommandResult } from '../command/command.ts'
import { decodeResults, type OwnSequence, type StorageToUser } from '../database/database.ts'
import type { EngineRequest, EngineToUser } from '../engine/engine.ts'
import type { CallCounts } from './call-counts.ts'
import type { OpenConfig } from './config.ts'
import type { Deadlines } from './deadlines.ts'
import { Drops } from './drops.ts'
import { closedError } from './failures.ts'
import { Handlers } from './handlers.ts'
import { Leases } from './leases.ts'
import { Once } from './once.ts'
import type { Requests } from './requests.ts'
import type { ThreadPair } from './thread-pair.ts'
import { Transactions } from './transactions.ts'
import { Writes } from './writes.ts'

export interface OutgoingOptions {
  /** 32 hexadecimal digits. */
  readonly origin: string
  readonly config: Pick<OpenConfig, 'electionTimeoutMs' | 'nonDeterminism'>
  readonly deadlines: Deadlines
  readonly requests: Requests
  readonly counts: CallCounts
  readonly shared: SharedState
  readonly threads: () => ThreadPair
  readonly haltedReason: () => string | null
  /** A `strong` read's way: a majority confirms the leader, and this node follows it. */
  readonly confirm: (signal: AbortSignal) => Promise<void> | null
  readonly nowMs: () => number
  /** @throws ColmenaError once this node is closed. */
  readonly checkOpen: () => void
}

/** What becomes of something that left, or came from another's user, as other threads tell it. */
type Heard =
  | Extract<
      EngineToUser,
      { readonly kind: 'rejected' | 'dropRejected' | 'commitRejected' | 'handle' }
    >
  | Extract<StorageToUser, { readonly kind: 'results' | 'drops' | 'endedLeases' }>

/** The number of a request whose acknowledgement nobody waits for. */
const NO_ANSWER = 0

/** What leaves this node for the log, and the answers; what comes for its user's handlers. */
export class Outgoing {
  readonly writes: Writes
  readonly transactions: Transactions
  readonly drops: Drops
  readonly handlers: Handlers
  readonly leases: Leases
  readonly once: Once

  constructor(options: OutgoingOptions) {
    const { origin, config, deadlines, requests, threads, haltedReason } = options
    const rejectsNonDeterminism = config.nonDeterminism === 'reject'
    const post = (request: EngineRequest): void =>
      threads().postEngine({ kind: 'request', id: NO_ANSWER, request })
    this.writes = new Writes({
      origin,
      rejectsNonDeterminism,
      deadlines,
      applyLagMs: () => options.shared.readEngine().applyLagMs,
      haltedReason,
      counts: options.counts,
      post: (database, sequence, bytes) =>
        threads().postEngine({ kind: 'write', database, sequence, bytes }, bytes),
      // The caller's time is up already: an engine that does not answer soon knows no better.
      askOutcome: (database, sequence) =>
        requests.outcome(config.electionTimeoutMs, (id) => {
          const request = { method: 'outcome', database, sequence } as const
          threads().postEngine({ kind: 'request', id, request })
        }),
    })
    this.transactions = new Transactions({
      origin,
      rejectsNonDeterminism,
      deadlines,
      counts: options.counts,
      post,
      ask: (request, signal) =>
        requests.ask({
          what: 'a step of a transaction',
          signal,
          post: (id) => threads().postEngine({ kind: 'request', id, request }),
        }),
    })
    this.drops = new Drops({ deadlines, post })
    this.handlers = new Handlers({
      confirm: async (signal) => {
        await options.confirm(signal)
        if (options.shared.readEngine().isLeader) return
        throw new ColmenaError('ERR_NO_LEADER', 'its node leads no more', { retryable: true })
      },
      answer: (id, bytes, error) =>
        threads().postEngine({ kind: 'handled', id, bytes, error }, bytes ?? undefined),
    })
    const { nowMs, checkOpen } = options
    this.leases = new Leases({ writes: this.writes, nowMs, checkOpen })
    this.once = new Once(this.leases)
  }

  heard(message: Heard): void {
    switch (message.kind) {
      case 'results':
        this.#answered(message.bytes)
        break
      case 'drops':
        this.drops.answered(message.drops)
        break
      case 'endedLeases':
        this.leases.ended(message.names)
        break
      case 'rejected':
        this.writes.rejected(message)
        break
      case 'dropRejected':
        this.drops.rejected(message.request, message.error)
        break
      case 'commitRejected':
        this.transactions.rejected(message.number, message.error)
        break
      case 'handle':
        this.handlers.run(message)
    }
  }

  /** Lets others have what is held here; resolves when nothing is under way any more. */
  async drained(): Promise<void> {
    this.transactions.endAll()
    await this.leases.releaseAll()
    await Promise.all([this.writes.drained(), this.transactions.drained()])
  }

  /** The storage thread applied commands of ours. */
  #answered(bytes: Uint8Array): void {
    for (const result of decodeResults(bytes)) {
      const command = decodeCommandResult(result.bytes)
      if (command.isTried) this.transactions.answered(command, result)
      else this.writes.answered(command, result)
    }
  }

  /** Databases took the place of the log that had our answers in it. */
  jumpedOver(sequences: readonly OwnSequence[]): void {
    for (const { database, sequence } of sequences) this.writes.jumpedOver(database, sequence)
    this.transactions.jumpedOver()
    this.leases.wakeAll()
  }

  /** The node has ended. */
  failAll(failure: unknown): void {
    const unknown = closedError(failure, 'unknown')
    this.writes.failAll(closedError(failure), unknown)
    this.transactions.failAll(unknown)
    this.drops.failAll(unknown)
    this.handlers.close(unknown)
    this.leases.failAll()
    this.once.failAll(unknown)
  }
}
