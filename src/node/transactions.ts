import { ColmenaError, isColmenaError } from '../base/errors.ts'
import { processNowMs } from '../base/process-clock.ts'
import {
  type CommandResult,
  decodeTrialAnswer,
  type Environment,
  patchEnvironment,
  type Statement,
  type Trial,
  type TrialAnswer,
  WriteEncoder,
} from '../command/command.ts'
import type { TimedResult } from '../database/database.ts'
import type { EngineRequest, ErrorMessage } from '../engine/engine.ts'
import type { CallCounts } from './call-counts.ts'
import type { Deadlines } from './deadlines.ts'
import { errorFromMessage, errorFromUnit } from './failures.ts'
import { Requests } from './requests.ts'
import type { AskedSettings, WrittenPlace } from './write-call.ts'
import { lostResult } from './writes.ts'

export interface TransactionsOptions {
  /** 32 hexadecimal digits. */
  readonly origin: string
  readonly rejectsNonDeterminism?: boolean | undefined
  readonly deadlines: Deadlines
  readonly counts: Pick<CallCounts, 'writeAnswered' | 'writeFailed'>
  /** Hands a request to the engine; its acknowledgement says nothing of the outcome. */
  readonly post: (request: EngineRequest) => void
  readonly ask: (request: EngineRequest, signal: AbortSignal | undefined) => Promise<unknown>
}

/** A transaction as the cluster knows it. */
export interface TransactionName {
  readonly database: string
  readonly number: number
}

/** What a trial came to, for apply to do again. */
export interface TriedTransaction extends TransactionName {
  /** What it asks of its database. */
  readonly asked: AskedSettings
  readonly environment: Environment
  readonly statements: readonly Statement[]
  readonly trial: Trial
  /** The token of a lease without which nothing of it may apply. */
  readonly fence: number | undefined
}

/** One that was handed to the log. */
interface Committing {
  readonly id: number
  readonly sinceMs: number
  readonly statementCount: number
}

/**
 * This node's transactions on their way: each step to the leader and back, and at last what they
 * came to into the log, whose answer this node's own apply gives.
 */
export class Transactions {
  readonly #options: TransactionsOptions
  readonly #requests: Requests
  /** Those that a leader may know of. */
  readonly #begun = new Map<number, TransactionName>()
  readonly #committing = new Map<number, Committing>()
  #drained: (() => void)[] = []
  #lastNumber = 0

  constructor(options: TransactionsOptions) {
    this.#options = options
    this.#requests = new Requests(options.deadlines)
  }

  nextNumber(): number {
    this.#lastNumber += 1
    return this.#lastNumber
  }

  /** Has the leader try statements. @throws ColmenaError the leader's, ERR_TIMEOUT, ERR_ABORTED */
  async step(
    { database, number }: TransactionName,
    statements: readonly Statement[],
    begins: { readonly base: number | null } | null,
    signal: AbortSignal | undefined,
  ): Promise<TrialAnswer> {
    const encoder = new WriteEncoder()
    for (const statement of statements) encoder.add({ statements: [statement] })
    const { origin, rejectsNonDeterminism } = this.#options
    const header = { origin, database, sequence: number, rejectsNonDeterminism }
    const bytes = encoder.finish(header)
    if (begins !== null) this.#begun.set(number, { database, number })
    const step = { bytes, begins: begins !== null, base: begins?.base ?? null }
    return decodeTrialAnswer(await this.#ask({ method: 'tryStatements', step }, signal))
  }

  /** A step that got no answer has still applied nothing, and never will. */
  async #ask(request: EngineRequest, signal: AbortSignal | undefined): Promise<Uint8Array> {
    try {
      return (await this.#options.ask(request, signal)) as Uint8Array
    } catch (error) {
      if (!isColmenaError(error) || error.outcome === 'not-applied') throw error
      const { code, message, retryable, cause } = error
      throw new ColmenaError(code, message, { retryable, cause })
    }
  }

  /** Lets the leader forget it, where one may know it; nothing of it stays. */
  end({ database, number }: TransactionName): void {
    if (!this.#begun.delete(number)) return
    this.#options.post({ method: 'endTrial', database, number })
  }

  /** Before this node ends: the writes that wait for them, here and elsewhere, go on. */
  endAll(): void {
    for (const name of [...this.#begun.values()]) {
      if (!this.#committing.has(name.number)) this.end(name)
    }
  }

  /** Resolves when no commit is under way. */
  drained(): Promise<void> {
    if (this.#committing.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#drained.push(resolve))
  }

  /**
   * Resolves once this node has applied it.
   *
   * @throws ColmenaError ERR_TX_ABORTED where another write came first; SqlError for what only the
   * commit finds, such as deferred foreign keys; ERR_TIMEOUT or ERR_ABORTED with `outcome`
   * 'unknown'; ERR_NO_LEADER.
   */
  async commit(tried: TriedTransaction, signal: AbortSignal | undefined): Promise<WrittenPlace> {
    const { counts, post } = this.#options
    const { number, statements } = tried
    const bytes = this.#encode(tried)
    const sinceMs = processNowMs()
    try {
      const place = await this.#requests.ask({
        what: 'the commit of a transaction',
        signal,
        post: (id) => {
          this.#committing.set(number, { id, sinceMs, statementCount: statements.length })
          post({ method: 'commit', number, bytes })
        },
      })
      counts.writeAnswered((place as WrittenPlace).timing, null)
      return place as WrittenPlace
    } catch (error) {
      counts.writeFailed(error)
      throw error
    } finally {
      this.#committing.delete(number)
      // Answered or given up: the engine need not send it again.
      post({ method: 'commitSettled', number })
      if (this.#committing.size === 0) for (const resolve of this.#drained.splice(0)) resolve()
    }
  }

  /** The storage thread applied it, or took it for nothing. */
  answered({ sequence: number, index, term, units }: CommandResult, at: TimedResult): void {
    const committing = this.#committing.get(number)
    const [unit] = units
    if (committing === undefined || unit === undefined) return
    const { id, sinceMs, statementCount } = committing
    if (unit.ok) {
      const timing = {
        committedMs: at.committedMs - sinceMs,
        appliedMs: at.appliedMs - sinceMs,
      }
      this.#requests.answered(id, { index, term, timing }, null)
      return
    }
    const error = errorFromUnit(unit.error, { index: 0, count: statementCount }, index)
    const { code, message } = error
    const isAborted = code === 'ERR_TX_ABORTED'
    this.#requests.answered(
      id,
      null,
      isAborted ? new ColmenaError(code, message, { retryable: true, index }) : error,
    )
  }

  /** It will never apply. */
  rejected(number: number, message: ErrorMessage): void {
    const id = this.#committing.get(number)?.id
    if (id !== undefined) this.#requests.answered(id, null, errorFromMessage(message))
  }

  /** Databases took the place of the log: whether it was in it is not known here. */
  jumpedOver(): void {
    for (const { id } of [...this.#committing.values()]) {
      this.#requests.answered(id, null, lostResult())
    }
  }

  failAll(error: ColmenaError): void {
    this.#requests.failAll(error)
  }

  #encode(tried: TriedTransaction): Uint8Array {
    const { database, number, asked, environment, statements, trial, fence } = tried
    const encoder = new WriteEncoder()
    encoder.add({ statements })
    const { origin, rejectsNonDeterminism } = this.#options
    const sequence = number
    const bytes = encoder.finish(
      { origin, database, sequence, ...asked, rejectsNonDeterminism },
      { trial, fence },
    )
    patchEnvironment(bytes, environment)
    return bytes
  }
}
