/** Relaxed nodes that were killed, as whoever runs the command meets them. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { findFreePorts } from '../processes/free-port.ts'
import { until } from '../processes/wait.ts'
import { makeDirectory, Running, run, serve } from './command.ts'

/** `serve` on a data directory that is there already, until the test ends. */
async function serveAgain(t: TestContext, args: readonly string[]): Promise<Running> {
  const running = new Running(['serve', ...args])
  t.after(async () => {
    running.kill('SIGKILL')
    await running.ended
  })
  await until('it serves', () => {
    if (running.child.exitCode !== null) throw new Error(`it ended: ${running.err}`)
    return running.out.includes('clients find it at')
  })
  return running
}

describe('serve, relaxed', () => {
  it('says at each start that it is, and after a kill what a node alone may have lost', async (t) => {
    const dataDir = join(makeDirectory(t), 'data')
    const args = ['--data-dir', dataDir, '--http-port', '0', '--durability', 'relaxed']
    const first = await serveAgain(t, args)
    await until('it says so', () => first.err.includes("ERR_RELAXED: durability is 'relaxed'"))
    assert.doesNotMatch(first.err, /ERR_UNCLEAN_STOP/)
    first.kill('SIGKILL')
    await first.ended
    const second = await serveAgain(t, args)
    await until('it says what', () => /ERR_UNCLEAN_STOP: .* is lost, at most/.test(second.err))
  })

  it('names the flag that accepts what a majority may have lost, and takes it', async (t) => {
    const [port, otherPort] = await findFreePorts(2)
    const bind = ['--bind', `127.0.0.1:${port}`, '--bootstrap', '--durability', 'relaxed']
    const { running, url, dataDir } = await serve(t, bind)
    const join = ['--bind', `127.0.0.1:${otherPort}`, '--join', `127.0.0.1:${port}`]
    const other = await serve(t, join)
    assert.equal((await run(['exec', 'CREATE TABLE t (a)', '--url', url])).code, 0)
    running.kill('SIGKILL')
    await running.ended
    const again = ['--data-dir', dataDir, '--http-port', '0', ...bind]
    const refused = await run(['serve', ...again, '--join-timeout-ms', '1'])
    assert.equal(refused.code, 1)
    assert.match(refused.err, /^ERR_UNCLEAN_STOP: .* asks its cluster/m, 'what it waited for')
    assert.match(refused.err, /each with its own --accept-loss\. /)
    const [, token] = /: --accept-loss ([0-9a-f]{12}-\d+)\n$/.exec(refused.err) ?? []
    assert.ok(token !== undefined, refused.err)
    await serveAgain(t, [...again, '--accept-loss', token])
    assert.equal((await run(['exec', 'INSERT INTO t VALUES (1)', '--url', other.url])).code, 0)
  })
})
