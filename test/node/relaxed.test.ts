/** A node that is alone and relaxed, and stopped without being closed. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { it } from 'node:test'
import { open } from '../../src/index.ts'
import { NodeHandle } from '../processes/node-handle.ts'
import { until } from '../processes/wait.ts'
import { temporaryDirectory } from './temporary.ts'

function readIdentity(dataDir: string): { format: number; relaxedSince?: number } {
  return JSON.parse(readFileSync(join(dataDir, 'identity.json'), 'utf8'))
}

it('a relaxed node alone says after a kill what is lost, and gives no index twice', async (t) => {
  const dataDir = temporaryDirectory(t)
  const options = { dataDir, durability: 'relaxed' } as const
  const first = new NodeHandle()
  await first.call('open', options)
  assert.equal(readIdentity(dataDir).format, 2, 'an older version does not open it')
  assert.equal(typeof readIdentity(dataDir).relaxedSince, 'number')
  await first.call('execute', 'CREATE TABLE t (a)')
  const { index } = await first.call('execute', 'INSERT INTO t VALUES (1)')
  const [said] = await until('it says that it is relaxed', () => {
    const warnings = first.eventsOf('warning')
    return warnings.length > 0 ? warnings : null
  })
  assert.equal(said?.code, 'ERR_RELAXED')
  assert.match(said.message, /durability is 'relaxed'/)
  await first.kill()

  // Full from here on: what was relaxed before still counts.
  const second = new NodeHandle()
  await second.call('open', { dataDir })
  const loss = await until('it says what is lost', () => second.eventsOf('warning')[0])
  assert.equal(loss.code, 'ERR_UNCLEAN_STOP')
  assert.match(loss.message, /at most 4096 entries.*goes on at index \d+/)
  assert.equal(readIdentity(dataDir).relaxedSince, undefined)
  assert.equal(readIdentity(dataDir).format, 1)
  const { rows } = await second.call('execute', 'SELECT a FROM t')
  assert.equal(rows.length, 1, 'the system had it')
  const after = await second.call('execute', 'INSERT INTO t VALUES (2)')
  assert.ok(after.index > index + 4_096, `${after.index} after ${index}`)
  await second.call('close')
  await second.kill()
})

it('a relaxed node whose open fails has not stopped uncleanly', async (t) => {
  const dataDir = temporaryDirectory(t)
  const taken = createServer().listen(0, '127.0.0.1')
  t.after(() => taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as AddressInfo
  const options = { dataDir, durability: 'relaxed', bootstrap: true } as const
  const opening = open({ ...options, bind: `127.0.0.1:${port}` })
  await assert.rejects(opening, { code: 'ERR_ADDRESS_IN_USE' })
  assert.equal(readIdentity(dataDir).relaxedSince, undefined)
})
