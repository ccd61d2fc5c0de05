import type { Statement } from '../../src/command/command.ts'
import type { Cluster } from './cluster.ts'
import type { SimulatedProcess } from './process.ts'

/**
 * Writes one row; its text is unique in the simulation, and `padding` says nothing. Nothing of what
 * it does may depend on the node that it runs on.
 */
export function writeText(
  { invariants }: Cluster,
  process: SimulatedProcess,
  database: string,
  text: string,
  padding: Uint8Array | null = null,
): void {
  process.write(database, statementsOf(text, padding), (outcome) => {
    if (outcome === 'rejected') {
      invariants.rejected(text)
      return
    }
    const { index, unit } = outcome
    if (unit.ok) invariants.acknowledged(text, index)
    else invariants.rejected(text)
    if (unit.ok !== isRefused(text)) return
    const error = unit.ok ? 'no error' : unit.error.message
    invariants.alarmed(process, `${text} came to: ${error}`)
  })
}

function statementsOf(text: string, padding: Uint8Array | null): Statement[] {
  const statements: Statement[] = [
    { sql: CREATE, args: [] },
    { sql: INSERT, args: [text, padding] },
  ]
  if (isRefused(text)) statements.push({ sql: INSERT_AGAIN, args: [text] })
  return statements
}

const CREATE =
  'CREATE TABLE IF NOT EXISTS written (id INTEGER PRIMARY KEY, text, chance, at, before, padding)'
const INSERT =
  'INSERT INTO written (text, chance, at, before, padding) ' +
  "VALUES (?, random(), datetime('now', 'subsec'), (SELECT max(id) FROM written), ?)"
const INSERT_AGAIN = 'INSERT INTO written (id, text) VALUES (1, ?)'

/** Writes of these names fail in their last statement, and leave nothing. */
function isRefused(text: string): boolean {
  return text.startsWith('refused')
}
