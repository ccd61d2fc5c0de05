/** What docs/sql.md says of pragmas and functions, held against what is allowed. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { READ_FUNCTIONS, REFUSED_FUNCTIONS } from '../../src/sqlite/allowed.ts'
import { judgePragma } from '../../src/sqlite/pragma.ts'
import { requireSqlite } from '../../src/sqlite/sqlite.ts'
import { readCodeSpans, readPage, readTables } from './pages.ts'

const page = readPage('docs/sql.md')
const [, pragmaSection = ''] = page.split('\n## Pragmas\n')
const [pragmaRows = []] = readTables(pragmaSection)

/** What becomes of a pragma, as the page words it. */
function verdictOf(name: string): string {
  const judge = (value?: string): string => {
    try {
      return judgePragma({ name, value })
    } catch {
      return 'refused'
    }
  }
  if (judge() !== 'read' && judge() !== 'fixed') return 'refused'
  const [on, off, word] = [judge('ON'), judge('OFF'), judge('word')]
  if (word === 'fixed') return 'fixed'
  if (word === 'write') return 'replicated'
  if (word === 'read') return 'asks: this node answers, of'
  if (on !== off) return `answers: ${on === 'fixed' ? 'on' : 'off'}`
  return 'asks: this node answers; a value is refused'
}

describe('docs/sql.md', () => {
  it('has each pragma of SQLite once, with what becomes of it', (test) => {
    const db = new (requireSqlite().DatabaseSync)(':memory:', { returnArrays: true })
    test.after(() => db.close())
    const all = db.prepare('PRAGMA pragma_list').all() as unknown as [string][]
    assert.ok(all.length > 60)
    for (const [name] of all) {
      const rows = pragmaRows.filter(([names]) => readCodeSpans(names ?? '').includes(name))
      assert.equal(rows.length, 1, name)
      const [, said = ''] = rows[0] ?? []
      const verdict = verdictOf(name)
      assert.ok(said.startsWith(verdict), `${name} is ${verdict}, and the page says: ${said}`)
    }
  })

  it('names each function that a write may not call', () => {
    const named = readCodeSpans(page)
    for (const name of [...READ_FUNCTIONS.keys(), ...REFUSED_FUNCTIONS.keys()]) {
      assert.ok(named.includes(`${name}()`), name)
    }
  })
})
