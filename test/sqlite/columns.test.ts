import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Reader } from '../../src/sqlite/sqlite.ts'
import { commit, openReader, openWriter, runAll } from './fixture.ts'

const SQL = 'SELECT * FROM t'

interface Rig {
  readonly reader: Reader
  /** What the reader is told of commits. */
  readonly commits: { count: number }
  readonly rename: (from: string, to: string) => void
  readonly columns: () => string
}

function createRig(test: TestContext): Rig {
  const writer = openWriter(test)
  runAll(writer, 'CREATE TABLE t (a)', 'INSERT INTO t VALUES (1)')
  commit(writer)
  const commits = { count: 0 }
  const reader = openReader(test, writer.path, { commits: () => commits.count })
  return {
    reader,
    commits,
    rename: (from, to) => {
      runAll(writer, `ALTER TABLE t RENAME COLUMN ${from} TO ${to}`)
      commit(writer)
    },
    columns: () => reader.query(SQL, []).columns.join(),
  }
}

describe('the columns of a query', () => {
  it('are looked for again only where something was committed', (test) => {
    const { commits, rename, columns } = createRig(test)
    assert.equal(columns(), 'a')
    rename('a', 'b')
    assert.equal(columns(), 'a', 'nothing was said to be committed, so nobody looks')
    commits.count += 2
    assert.equal(columns(), 'b')
  })

  it('are looked for each time while a commit is under way', (test) => {
    const { commits, rename, columns } = createRig(test)
    assert.equal(columns(), 'a')
    commits.count += 1
    assert.equal(columns(), 'a')
    rename('a', 'b')
    assert.equal(columns(), 'b')
    rename('b', 'c')
    assert.equal(columns(), 'c')
    commits.count += 1
    assert.equal(columns(), 'c')
  })

  it('are taken from no snapshot that has passed', (test) => {
    const { reader, commits, rename, columns } = createRig(test)
    reader.pin()
    rename('a', 'b')
    commits.count += 2
    assert.equal(columns(), 'a', 'as it was when it was pinned')
    reader.unpin()
    assert.equal(columns(), 'b')
  })

  it('stay unknown where a commit came between the rows and the look at the schema', (test) => {
    const { reader, commits, rename, columns } = createRig(test)
    assert.equal(columns(), 'a')
    rename('a', 'b')
    commits.count += 2
    const schemaVersion = reader.schemaVersion.bind(reader)
    reader.schemaVersion = () => {
      reader.schemaVersion = schemaVersion
      rename('b', 'c')
      commits.count += 2
      return schemaVersion()
    }
    assert.equal(columns(), 'b', 'as the rows were read')
    assert.equal(columns(), 'c', 'the new version was not put beside the old columns')
  })
})
