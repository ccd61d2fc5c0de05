import type { SharedState } from '../base/shared-state.ts'
import { decodeCommandResult } from '../command/command.ts'
import { decodeResults, type OwnSequence } from '../database/database.ts'
import type { EngineRequest } from '../engine/engine.ts'
import type { CallCounts } from './call-counts.ts'
import type { OpenConfig } from './config.ts'
import type { Deadlines } from './deadlines.ts'
import { Drops } from './drops.ts'
import { closedError } from './failures.ts'
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
}

/** The number of a request whose acknowledgement nobody waits for. */
const NO_ANSWER = 0

/** What leaves this node for the log: writes, transactions, drops; and the answers to them. */
export class Outgoing {
  readonly writes: Writes
  readonly transactions: Transactions
  readonly drops: Drops

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
  }

  /** The storage thread applied commands of ours. */
  answered(bytes: Uint8Array): void {
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
  }

  /** The node has ended. */
  failAll(failure: unknown): void {
    const unknown = closedError(failure, 'unknown')
    this.writes.failAll(closedError(failure), unknown)
    this.transactions.failAll(unknown)
    this.drops.failAll(unknown)
  }
}
