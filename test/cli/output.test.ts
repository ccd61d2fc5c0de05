/** Whoever reads the output may go away, or have no room for it. */
import assert from 'node:assert/strict'
import { openSync } from 'node:fs'
import { describe, it } from 'node:test'
import { until } from '../processes/wait.ts'
import { Running, run, serve } from './command.ts'

describe('output', () => {
  it('that nobody reads any more ends no command with a stack trace', async (t) => {
    const { url, running } = await serve(t)
    const sql =
      'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 9999) SELECT n FROM c'
    for (const args of [
      ['exec', sql, '--url', url],
      ['status', '--watch', '--url', url],
      ['--help'],
    ]) {
      const command = new Running(args)
      command.child.stdout?.destroy()
      const { code, err } = await command.ended
      assert.deepEqual([code, err], [0, ''], args.join(' '))
    }
    // A node goes on: its clients are none of that reader's business.
    running.child.stdout?.destroy()
    running.child.stderr?.destroy()
    assert.equal((await run(['exec', 'SELECT 1', '--url', url])).code, 0)
    running.kill('SIGTERM')
    assert.equal((await running.ended).code, 0)
  })

  it('that is lost otherwise is a failure', async (t) => {
    const { url } = await serve(t)
    const full = openSync('/dev/full', 'w')
    const { code, err } = await run(['exec', 'SELECT 1', '--url', url], { stdout: full })
    assert.equal(code, 1)
    assert.match(err, /^the output can't be written: ENOSPC/)
  })
})

describe('status --watch', () => {
  it('shows again what there is, or that the node is gone, until a signal', async (t) => {
    const { url, running } = await serve(t, ['--node-id', 'ann'])
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const watch = new Running(['status', '--watch', '--url', url])
      const shows = (what: RegExp): Promise<true> =>
        until(String(what), () => (watch.out.match(what)?.length ?? 0) >= 2)
      await shows(/ann is the leader/g)
      if (signal === 'SIGTERM') {
        running.kill('SIGKILL')
        await shows(/no server answers at/g)
      }
      watch.kill(signal)
      const { code, err } = await watch.ended
      assert.deepEqual([code, err], [0, ''])
    }
  })
})
