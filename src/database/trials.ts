import { ColmenaError } from '../base/errors.ts'
import {
  decodeWrite,
  type Environment,
  encodeTrialAnswer,
  type Statement,
  type TrialAnswer,
  type TriedStatement,
  transactionEnded,
} from '../command/command.ts'
import { classifyFailure, parseSavepoint, type Writer } from '../sqlite/sqlite.ts'
import type { DatabaseFile } from './database-file.ts'
import type { StatementWatch } from './statement-watch.ts'
import { asTrouble, MachineTrouble } from './trouble.ts'
import { runInTransaction } from './unit.ts'

/** Of one step; what travels between nodes is bounded. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024

/** A step of a transaction as it comes from the engine. */
export interface TrialRequest {
  /** Names this step, from 1 on. */
  readonly number: number
  /** Names the transaction, in all the cluster. */
  readonly key: string
  /** An encoded write command, whose units have one statement each. */
  readonly bytes: Uint8Array
  /** Whether the trial begins here, with the command's environment. */
  readonly begins: boolean
  /** The last write that a trial which begins must find, null for whichever it is. */
  readonly base: number | null
}

/** Statements of a transaction to be tried, on this node as the leader. */
export interface TrialStep {
  readonly database: string
  /** Names the transaction, in all the cluster. */
  readonly key: string
  /** Set where the transaction begins with this step. */
  readonly begins: {
    readonly environment: Environment
    /** The last write that the transaction must find, null for whichever it is. */
    readonly base: number | null
    readonly rejectsNonDeterminism?: boolean | undefined
  } | null
  readonly statements: readonly Statement[]
  /** Told of each statement before it runs, by its place: it may never end. */
  readonly starts?: ((statement: number) => void) | undefined
}

/**
 * Tries transactions on the writers of this node's files, where they see their own writes, and
 * nobody else sees anything. What stays is what comes back through the log, which goes first: any
 * entry of the database ends a trial.
 */
export class Trials {
  readonly #file: (database: string) => DatabaseFile | undefined

  constructor(file: (database: string) => DatabaseFile | undefined) {
    this.#file = file
  }

  /**
   * Runs a step, up to its first statement that fails.
   *
   * @throws ColmenaError ERR_TX_ABORTED where the transaction is over, or can't begin on its base;
   * ERR_NOT_FOUND where there is no such database.
   */
  step({ database, key, begins, statements, starts }: TrialStep): TrialAnswer {
    const file = this.#file(database)
    if (file === undefined) {
      if (begins === null) throw transactionEnded('its database was dropped')
      throw new ColmenaError('ERR_NOT_FOUND', `there is no database '${database}' yet`)
    }
    try {
      const environment = begins === null ? underWay(file, key) : begin(file, key, begins)
      return tryAll(file, statements, environment, starts)
    } catch (error) {
      if (!(error instanceof TrialOver)) throw error
      this.end(database, key)
      throw transactionEnded(error.message, error.cause)
    }
  }

  /** Leaves nothing of a trial; one that is over already is nothing. */
  end(database: string, key: string): void {
    const file = this.#file(database)
    if (file?.trial?.key === key) file.endTrial()
  }
}

/** Answers a step as it comes from the engine. @throws ColmenaError */
export function answerStep(
  trials: Trials,
  { number, key, bytes, begins, base }: TrialRequest,
  watch: Pick<StatementWatch, 'tries' | 'tried'> | undefined,
): Uint8Array {
  const { database, environment, units, rejectsNonDeterminism } = decodeWrite(bytes)
  const statements = units.flatMap((unit) => unit.statements)
  const beginning = begins ? { environment, base, rejectsNonDeterminism } : null
  const starts = (statement: number): void => watch?.tries(number, statement)
  let tried: TrialAnswer
  try {
    tried = trials.step({ database, key, begins: beginning, statements, starts })
  } finally {
    watch?.tried()
  }
  const answer = encodeTrialAnswer(tried)
  if (answer.length <= ANSWER_BYTES_MAX) return answer
  trials.end(database, key)
  const message =
    `the transaction was ended: a statement's answer takes ${answer.length} bytes, at most ` +
    `${ANSWER_BYTES_MAX} travel between nodes. Nothing of it was applied; read fewer rows at a time`
  throw new ColmenaError('ERR_TOO_LARGE', message)
}

/** The transaction can't go on: its caller is to begin it again. */
class TrialOver extends Error {}

function underWay({ trial }: DatabaseFile, key: string): Environment {
  if (trial?.key === key) return trial.environment
  throw new TrialOver('another write to the database came first')
}

function begin(
  file: DatabaseFile,
  key: string,
  { environment, base, rejectsNonDeterminism }: NonNullable<TrialStep['begins']>,
): Environment {
  if (base !== null && base !== file.lastWrite) {
    throw new TrialOver('the database was written to since the transaction read from it')
  }
  try {
    return file.beginTrial(key, environment, rejectsNonDeterminism)
  } catch (error) {
    throw troubled(error)
  }
}

function tryAll(
  file: DatabaseFile,
  statements: readonly Statement[],
  environment: Environment,
  starts: TrialStep['starts'],
): TrialAnswer {
  const tried: TriedStatement[] = []
  for (const [at, statement] of statements.entries()) {
    starts?.(at)
    const one = tryStatement(file, statement)
    tried.push(one)
    if (!one.result.ok) break
  }
  return { base: file.lastWrite, environment, tried }
}

function tryStatement(file: DatabaseFile, statement: Statement): TriedStatement {
  const { writer } = file
  const isLook = isRead(writer, statement)
  try {
    const budget = { bytesMax: ANSWER_BYTES_MAX, bytesLeft: ANSWER_BYTES_MAX }
    const result = isLook
      ? writer.look(statement.sql, statement.args, budget)
      : runInTransaction(writer, statement)
    return { isLook, result: { ok: true, statements: [result] } }
  } catch (error) {
    const failure = classifyFailure(error, writer)
    if (failure.kind === 'answer') return { isLook, result: { ok: false, error: failure.error } }
    if (failure.kind === 'vanished') {
      throw new TrialOver(`the statement rolled the whole of it back: ${failure.error.message}`, {
        cause: error,
      })
    }
    throw troubled(asTrouble(error, writer, writer.path))
  }
}

function isRead(writer: Writer, { sql }: Statement): boolean {
  try {
    return parseSavepoint(sql) === null && writer.facts(sql).kind === 'read'
  } catch {
    // What can't be prepared fails again where it is run.
    return false
  }
}

function troubled(error: unknown): unknown {
  if (!(error instanceof MachineTrouble)) return error
  return new TrialOver(`the leader's machine can't go on with it: ${error.message}`, {
    cause: error,
  })
}
