import assert from 'node:assert/strict'
import { it } from 'node:test'
import { open } from '../../src/index.ts'
import { temporaryDirectory } from './temporary.ts'

it('reads know the present columns, however often they have run before', async (test) => {
  await using node = await open({ dataDir: temporaryDirectory(test) })
  const db = node.database()
  await db.execute('CREATE TABLE t (a)')
  const columns = async (): Promise<string> => {
    const { columns } = await db.execute('SELECT * FROM t', [], { consistency: 'none' })
    return columns.join()
  }
  assert.equal(await columns(), 'a')
  assert.equal(await columns(), 'a')
  await db.execute('ALTER TABLE t ADD COLUMN b')
  assert.equal(await columns(), 'a,b')
  await db.execute('ALTER TABLE t RENAME COLUMN b TO c')
  assert.equal(await columns(), 'a,c')
})
