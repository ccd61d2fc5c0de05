/** The demo's processes end when they have to, and no end of theirs is one of the demo. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { forkNode } from '../../src/demo/child-wire.ts'
import { runDemo } from '../../src/demo/demo.ts'
import { NodeHandle } from '../../src/demo/node-handle.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import { until } from '../processes/wait.ts'

const SUPERVISOR = fileURLToPath(new URL('../../src/demo/supervisor.ts', import.meta.url))
const PROCESSES = fileURLToPath(new URL('../../src/demo/processes.ts', import.meta.url))
const IGNORE = { fates() {}, report() {}, leader() {}, applied() {} }

it('a node can be told something while it dies', async () => {
  let exits = 0
  const wire = forkNode({ dataDir: '/dev/null/none' })
  const handle = new NodeHandle(wire, { ...IGNORE, exited: () => (exits += 1) })
  await assert.rejects(handle.opened, { code: 'ERR_DATA_DIR' })
  const refused = handle.call('barrier')
  await assert.rejects(refused, { code: 'ERR_FAILED', message: /opened no node yet/ })
  const unanswered = handle.call('barrier').catch((error) => error)
  const killed = handle.kill()
  while (!handle.isGone) {
    handle.write([[1, 'nobody reads this']])
    await turn()
  }
  await killed
  assert.ok((await unanswered) instanceof Error)
  await assert.rejects(handle.call('barrier'), { code: 'ERR_CLOSED', retryable: false })
  assert.equal(exits, 1)
})

it('the nodes end with a supervisor that is killed', async (t) => {
  const code = `
    const { Supervisor } = await import(${JSON.stringify(SUPERVISOR)})
    const { inProcesses } = await import(${JSON.stringify(PROCESSES)})
    const open = inProcesses({ dataDir: process.env.DATA_DIR, progress() {} })
    const { cluster } = await Supervisor.start({ open, publish() {} })
    process.stdout.write(JSON.stringify(cluster.members.map(({ pid }) => pid)))
  `
  const env = { ...process.env, DATA_DIR: temporaryDirectory(t) }
  const supervisor = spawn(process.execPath, ['--input-type=module', '--eval', code], { env })
  t.after(() => supervisor.kill('SIGKILL'))
  const [text] = await once(supervisor.stdout, 'data')
  const pids: number[] = JSON.parse(String(text))
  assert.ok(pids.length === 4 && pids.every(isAlive))
  supervisor.kill('SIGKILL')
  await until('all four nodes have ended', () => !pids.some(isAlive))
})

it('nothing is left in the end, and a port that is taken is said at once', async (t) => {
  const { TMPDIR } = process.env
  t.after(() => {
    if (TMPDIR === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = TMPDIR
  })
  const folder = temporaryDirectory(t)
  process.env['TMPDIR'] = folder
  const lines: string[] = []
  const demo = await runDemo({ port: 0, progress: (line) => lines.push(line) })
  t.after(() => demo.close())
  assert.equal(readdirSync(folder).length, 1)
  assert.ok(lines.length >= 3, lines.join('\n'))
  const port = Number(new URL(demo.url).port)
  await assert.rejects(runDemo({ port }), { code: 'ERR_ADDRESS_IN_USE' })
  assert.equal(readdirSync(folder).length, 1)
  const closing = demo.close()
  assert.equal(demo.close(), closing)
  await closing
  assert.deepEqual(readdirSync(folder), [])
  await assert.rejects(fetch(demo.url))
})

it('a data directory keeps what was written, under the same ports', async (t) => {
  const dataDir = temporaryDirectory(t)
  const first = await runDemo({ port: 0, dataDir })
  t.after(() => first.close())
  const write = { method: 'POST', body: '{"text":"kept"}' }
  assert.equal((await fetch(new URL('api/write', first.url), write)).status, 204)
  await first.close()
  assert.ok(existsSync(`${dataDir}/node-4/identity.json`))
  const second = await runDemo({ port: 0, dataDir })
  t.after(() => second.close())
  assert.equal((await fetch(new URL('api/write', second.url), write)).status, 204)
  await second.close()
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
