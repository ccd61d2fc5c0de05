import type { ColmenaError } from '../base/errors.ts'
import {
  decodeCommandResult,
  decodeWrite,
  type Statement,
  type UnitResult,
} from '../command/command.ts'
import type { AppliedWrite } from '../database/database.ts'
import { errorFromUnit } from './failures.ts'
import { createResultSet, type ResultSet, type Row, toValue, type Value } from './result-set.ts'

/** A statement of a write, as it is in the log. */
export interface AppliedStatement {
  readonly sql: string
  /** By position, or by name without the `:`, `@` or `$` before it. */
  readonly args: readonly Value[] | Readonly<Record<string, Value>>
}

/** What one call wrote: an `execute`, a batch or a transaction. */
export interface AppliedEvent {
  readonly database: string
  /** Of its log entry; calls that share one come in their order. */
  readonly index: number
  readonly statements: readonly AppliedStatement[]
  /** One for each statement, as its caller got them; none where it failed. */
  readonly results: readonly ResultSet[]
  /** Why it failed on every node and changed nothing; undefined where it did not. */
  readonly error: ColmenaError | undefined
}

/** The events of writes that were applied, in their order; none where there was nothing to run. */
export function toAppliedEvents(writes: readonly AppliedWrite[]): AppliedEvent[] {
  return writes.flatMap(({ command, result }) => {
    const { database, units } = decodeWrite(command)
    const { index, term, units: answers } = decodeCommandResult(result)
    const place = { index, term, timing: undefined }
    return units.flatMap(({ statements, compacts }, ordinal): AppliedEvent[] => {
      // It writes nothing that anybody could read.
      if (compacts) return []
      const written = { database, index, statements: statements.map(toApplied) }
      const answer = answers[ordinal] as UnitResult
      if (!answer.ok) {
        const count = { index: 0, count: statements.length }
        return [{ ...written, results: [], error: errorFromUnit(answer.error, count, index) }]
      }
      // Also of a migration that had run before.
      if (answer.statements.length === 0) return []
      const results = answer.statements.map((one) => createResultSet<Row>(one, place))
      return [{ ...written, results, error: undefined }]
    })
  })
}

function toApplied({ sql, args }: Statement): AppliedStatement {
  if (!(args instanceof Map)) {
    return { sql, args: (args as readonly never[]).map((value) => toValue(value)) }
  }
  const named = [...args].map(([name, value]) => [name, toValue(value)] as const)
  return { sql, args: Object.fromEntries(named) }
}
