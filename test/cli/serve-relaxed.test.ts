/** A relaxed node that was killed, as whoever runs the command meets it. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { findFreePorts } from '../processes/free-port.ts'
import { until } from '../processes/wait.ts'
import { Running, run, serve } from './command.ts'

it('serve says that a node is relaxed, and after a kill which flag accepts a loss', async (t) => {
  const [port, otherPort] = await findFreePorts(2)
  const bind = ['--bind', `127.0.0.1:${port}`, '--bootstrap', '--durability', 'relaxed']
  const { running, dataDir } = await serve(t, bind)
  await until('it says so', () => running.err.includes("ERR_RELAXED: durability is 'relaxed'"))
  assert.doesNotMatch(running.err, /ERR_UNCLEAN_STOP/)
  // A learner: so the other one decides alone, and can't be replaced while it is away.
  await serve(t, ['--bind', `127.0.0.1:${otherPort}`, '--join', `127.0.0.1:${port}`])
  running.kill('SIGKILL')
  await running.ended
  const again = ['--data-dir', dataDir, '--http-port', '0', ...bind]
  const refused = await run(['serve', ...again, '--join-timeout-ms', '1'])
  assert.equal(refused.code, 1)
  assert.match(refused.err, /^ERR_UNCLEAN_STOP: .* asks its cluster/m, 'what it waited for')
  assert.match(refused.err, /each with its own --accept-loss\. /)
  const [, token] = /: --accept-loss ([0-9a-f]{12}-\d+)\n$/.exec(refused.err) ?? []
  assert.ok(token !== undefined, refused.err)
  const accepted = new Running(['serve', ...again, '--accept-loss', token])
  t.after(async () => {
    accepted.kill('SIGKILL')
    await accepted.ended
  })
  await until('it serves', () => {
    if (accepted.child.exitCode !== null) throw new Error(`it ended: ${accepted.err}`)
    return accepted.out.includes('clients find it at')
  })
})
