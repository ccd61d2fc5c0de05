import { type HranaError, toHranaError } from './failure.ts'
import type { Condition, Step } from './request.ts'
import type { Run, StatementResult, StepOutcome } from './run.ts'
import { runStatement } from './statement.ts'
import type { Stream } from './streams.ts'
import { findTransaction, runTransaction } from './transaction.ts'

/** The protocol's `batch`, step by step as they are done. */
export async function* runSteps(steps: readonly Step[], run: Run): AsyncGenerator<StepOutcome> {
  const isInside = run.stream.transaction !== null
  const transaction = isInside ? null : findTransaction(steps, run.stream)
  if (transaction !== null) {
    yield* await runTransaction(steps, transaction, run)
    return
  }
  const outcomes: StepOutcome[] = []
  for (const { condition, statement } of steps) {
    const outcome =
      condition === null || holds(condition, outcomes, run.stream)
        ? await runStep(statement, run)
        : {}
    outcomes.push(forget(outcome))
    yield outcome
  }
}

/** What the protocol's `batch` answers. */
export async function runBatch(steps: readonly Step[], run: Run): Promise<unknown> {
  const results: (StatementResult | null)[] = []
  const errors: (HranaError | null)[] = []
  for await (const { result, error } of runSteps(steps, run)) {
    results.push(result ?? null)
    errors.push(error ?? null)
  }
  return { step_results: results, step_errors: errors, replication_index: null }
}

const CHUNK_CHARS = 16 * 1024

/** What the protocol's cursor answers after its first line, several lines at a time. */
export async function* batchLines(steps: readonly Step[], run: Run): AsyncGenerator<string> {
  let step = 0
  for await (const { result, error } of runSteps(steps, run)) {
    if (error !== undefined) yield line({ type: 'step_error', step, error })
    if (result !== undefined) yield* stepLines(step, result)
    run.budget.refill()
    step += 1
  }
}

function* stepLines(step: number, result: StatementResult): Generator<string> {
  let text = line({ type: 'step_begin', step, cols: result.cols })
  for (const row of result.rows) {
    text += line({ type: 'row', row })
    if (text.length < CHUNK_CHARS) continue
    yield text
    text = ''
  }
  const { affected_row_count, last_insert_rowid } = result
  yield text + line({ type: 'step_end', affected_row_count, last_insert_rowid })
}

export function line(entry: unknown): string {
  return `${JSON.stringify(entry)}\n`
}

async function runStep(statement: Step['statement'], run: Run): Promise<StepOutcome> {
  try {
    return { result: await runStatement(statement, run) }
  } catch (error) {
    return { error: toHranaError(error) }
  }
}

/** Conditions ask no more of a step than which of the two it has; its rows can go. */
function forget({ result, error }: StepOutcome): StepOutcome {
  if (error !== undefined) return { error }
  return result === undefined ? {} : { result: { ...result, rows: [] } }
}

function holds(condition: Condition, outcomes: readonly StepOutcome[], stream: Stream): boolean {
  switch (condition.type) {
    case 'ok':
      return outcomes[condition.step]?.result !== undefined
    case 'error':
      return outcomes[condition.step]?.error !== undefined
    case 'not':
      return !holds(condition.cond, outcomes, stream)
    case 'and':
      return condition.conds.every((each) => holds(each, outcomes, stream))
    case 'or':
      return condition.conds.some((each) => holds(each, outcomes, stream))
    case 'is_autocommit':
      return stream.isAutocommit
  }
}
