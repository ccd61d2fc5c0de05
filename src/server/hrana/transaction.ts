import type { BatchMode, ResultSet } from '../../index.ts'
import { type Control, parseControl } from './control.ts'
import { failedStatement, HranaRefusal, toHranaError } from './failure.ts'
import type { Condition, Step } from './request.ts'
import { NOTHING, type Run, type StepOutcome } from './run.ts'
import { encodeResult, readOnly } from './statement.ts'
import type { Stream } from './streams.ts'

/** A batch that is one transaction, by the positions of its steps. */
export interface WholeTransaction {
  readonly mode: BatchMode
  /** It stands between PRAGMA foreign_keys=off and =on. */
  readonly foreignKeysOff: boolean
  readonly begin: number
  /** The statements are what is between the two. */
  readonly commit: number
}

/** Longer than either is written; it also bounds what a pattern can cost. */
const OWN_STEP_CHARS_MAX = 64
const FOREIGN_KEYS_OFF = /^\s*pragma\s+foreign_keys\s*=\s*(?:off|0|no|false)\s*;?\s*$/i
const FOREIGN_KEYS_ON = /^\s*pragma\s+foreign_keys\s*=\s*(?:on|1|yes|true)\s*;?\s*$/i

/**
 * The transaction that a batch is as a whole: BEGIN, statements each on condition that the one
 * before it is ok, COMMIT on the same condition, and ROLLBACK if that is not ok, as clients send
 * for `batch()` and `migrate()`. Null for any other batch.
 */
export function findTransaction(steps: readonly Step[], stream: Stream): WholeTransaction | null {
  const textAt = (at: number): string => stream.find(steps[at]?.statement.sql ?? '') ?? ''
  const is = (at: number, pattern: RegExp): boolean =>
    textAt(at).length <= OWN_STEP_CHARS_MAX && pattern.test(textAt(at))
  const controlAt = (at: number): Control | null => parseControl(textAt(at))
  const isFree = (at: number): boolean => steps[at]?.condition === null
  const foreignKeysOff = is(0, FOREIGN_KEYS_OFF)
  const begin = foreignKeysOff ? 1 : 0
  const rollback = steps.length - (foreignKeysOff ? 2 : 1)
  const commit = rollback - 1
  const beginning = controlAt(begin)
  if (commit <= begin || beginning?.kind !== 'begin' || !isFree(begin)) return null
  if (controlAt(commit)?.kind !== 'commit' || controlAt(rollback)?.kind !== 'rollback') return null
  if (foreignKeysOff && !(isFree(0) && is(rollback + 1, FOREIGN_KEYS_ON) && isFree(rollback + 1))) {
    return null
  }
  for (let at = begin + 1; at <= commit; at += 1) {
    if (!follows(steps[at]?.condition ?? null, at - 1, begin)) return null
  }
  if (!isUnlessOk(steps[rollback]?.condition ?? null, commit)) return null
  return { mode: beginning.mode, foreignKeysOff, begin, commit }
}

/** Runs it as one command, and says of each step what became of it. */
export async function runTransaction(
  steps: readonly Step[],
  transaction: WholeTransaction,
  run: Run,
): Promise<StepOutcome[]> {
  const { begin, commit } = transaction
  const statements = steps.slice(begin + 1, commit)
  const startMs = run.nowMs()
  let results: readonly ResultSet[]
  try {
    results = await apply(statements, transaction, run)
  } catch (error) {
    return failedSteps(error, steps.length, transaction)
  }
  const outcomes: StepOutcome[] = steps.map(() => ({ result: NOTHING }))
  // After a COMMIT that is ok there is nothing to roll back.
  outcomes[commit + 1] = {}
  for (const [i, { statement }] of statements.entries()) {
    try {
      const result = encodeResult(results[i] as ResultSet, statement.wantRows, startMs, run)
      outcomes[begin + 1 + i] = { result }
    } catch (error) {
      outcomes[begin + 1 + i] = { error: toHranaError(error) }
    }
  }
  return outcomes
}

async function apply(
  steps: readonly Step[],
  { mode, foreignKeysOff }: WholeTransaction,
  run: Run,
): Promise<readonly ResultSet[]> {
  const { database, options, foreignKeyCheck, mayWrite, stream } = run
  const statements = steps.map(({ statement: { sql, args } }) => ({ sql: stream.sql(sql), args }))
  if (!mayWrite) return readOnly(statements, run)
  if (foreignKeysOff) return database.migrate(statements, { ...options, foreignKeyCheck })
  return database.batch(statements, { ...options, mode })
}

/**
 * A statement's error stands at its step, any other at BEGIN: clients look there first, and would
 * otherwise take the statements for rolled back, whatever the error says.
 */
function failedSteps(
  error: unknown,
  stepCount: number,
  { begin, commit, foreignKeysOff }: WholeTransaction,
): StepOutcome[] {
  const told = toHranaError(error)
  const outcomes: StepOutcome[] = Array.from({ length: stepCount }, () => ({}))
  const failed = failedStatement(error)
  if (foreignKeysOff) {
    outcomes[0] = { result: NOTHING }
    outcomes[stepCount - 1] = { result: NOTHING }
  }
  if (failed === undefined) {
    outcomes[begin] = { error: told }
    const nothing = new HranaRefusal('SQLITE_ERROR', 'cannot rollback - no transaction is active')
    outcomes[commit + 1] = { error: toHranaError(nothing) }
    return outcomes
  }
  for (let at = begin; at <= begin + failed; at += 1) outcomes[at] = { result: NOTHING }
  outcomes[begin + 1 + failed] = { error: told }
  outcomes[commit + 1] = { result: NOTHING }
  return outcomes
}

/** Whether a step runs if the one before it is ok, and on no condition that could be false then. */
function follows(condition: Condition | null, previous: number, begin: number): boolean {
  if (condition === null) return false
  const all = conjuncts(condition)
  const isOk = (each: Condition): boolean => each.type === 'ok' && each.step === previous
  const isImplied = (each: Condition): boolean => each.type === 'ok' && each.step >= begin
  const isInside = (each: Condition): boolean =>
    each.type === 'not' && each.cond.type === 'is_autocommit'
  return all.some(isOk) && all.every((each) => isImplied(each) || isInside(each))
}

function conjuncts(condition: Condition): readonly Condition[] {
  return condition.type === 'and' ? condition.conds.flatMap(conjuncts) : [condition]
}

function isUnlessOk(condition: Condition | null, step: number): boolean {
  if (condition?.type !== 'not') return false
  return condition.cond.type === 'ok' && condition.cond.step === step
}
