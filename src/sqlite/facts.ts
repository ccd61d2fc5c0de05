import { ALWAYS_FROZEN, callText } from './frozen.ts'
import type { PreparedRecord } from './guard.ts'
import type { Schema } from './schema.ts'
import type { StatementShape } from './shape.ts'

/** What can be said of a statement before it runs, from the authorizer's record at prepare. */
export interface StatementFacts {
  readonly kind: 'read' | 'write'
  /** Inserts into some table, directly or through a trigger. */
  readonly inserts: boolean
  /** Inserts, updates or deletes rows. */
  readonly modifies: boolean
  /** Creates, alters or drops something of the schema. */
  readonly changesSchema: boolean
  /** ANALYZE or REINDEX. */
  readonly analyzes: boolean
  readonly touchesVirtualTable: boolean
  /**
   * Calls that are frozen per command whatever their arguments, such as `random()`. The date
   * functions are not among them: whether one asks for the present is seen when it runs.
   */
  readonly nonDeterministic: readonly string[]
  /** Names DEFERRABLE or DEFERRED, as in a foreign key or as PRAGMA defer_foreign_keys. */
  readonly defersForeignKeys: boolean
  /** Tables whose rows the statement changes, in lower case; triggers' ones too. */
  readonly writtenTables: readonly string[]
}

const READ: StatementFacts = {
  kind: 'read',
  inserts: false,
  modifies: false,
  changesSchema: false,
  analyzes: false,
  touchesVirtualTable: false,
  nonDeterministic: [],
  defersForeignKeys: false,
  writtenTables: [],
}

/** The facts of a PRAGMA, which its text alone decides. */
export function pragmaFacts(shape: StatementShape): StatementFacts {
  if (shape.pragma?.kind !== 'write') return READ
  const defersForeignKeys = shape.pragma.call.name === 'defer_foreign_keys'
  return { ...READ, kind: 'write', defersForeignKeys }
}

export function statementFacts(
  shape: StatementShape,
  record: PreparedRecord,
  schema: Schema,
): StatementFacts {
  const calls = frozenCalls([...record.functions, ...record.defaultFunctions])
  const modifies = !shape.isSchemaStatement && record.writtenTables.size > 0
  if (shape.isExplain || !(modifies || shape.isSchemaStatement)) {
    return { ...READ, nonDeterministic: calls, touchesVirtualTable: touchesVirtual(record, schema) }
  }
  const analyzes = shape.keyword === 'analyze' || shape.keyword === 'reindex'
  return {
    kind: 'write',
    inserts: modifies && record.insertedTables.size > 0,
    modifies,
    changesSchema: shape.isSchemaStatement && !analyzes,
    analyzes,
    touchesVirtualTable: touchesVirtual(record, schema),
    nonDeterministic: calls,
    defersForeignKeys: shape.isSchemaStatement && shape.namesDeferral,
    writtenTables: modifies ? [...record.writtenTables] : [],
  }
}

/** Calls among `functions` whose answer depends on when and where they are made, always. */
export function frozenCalls(functions: Iterable<string>): string[] {
  return [...new Set(functions)].filter((name) => ALWAYS_FROZEN.has(name)).map(callText)
}

function touchesVirtual(record: PreparedRecord, schema: Schema): boolean {
  if (record.touchesModule) return true
  for (const tables of [record.readTables, record.writtenTables]) {
    for (const table of tables) if (schema.isVirtual(table)) return true
  }
  return false
}
