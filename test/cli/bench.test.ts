import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Tally } from '../../src/cli/bench-tally.ts'
import { until } from '../processes/wait.ts'
import { Running, run, serve } from './command.ts'

describe('bench', () => {
  it('loads several nodes, tells what it saw, and leaves nothing', async (t) => {
    const { url } = await serve(t)
    const options = ['--seconds', '1', '--writers', '2', '--readers', '2', '--statements', '3']
    const { out, code, err } = await run(['bench', '--url', url, url, ...options])
    assert.equal(err, '')
    assert.equal(code, 0)
    assert.match(out, /writes of 3 +│ \d+ +│ \d+ \/s/)
    assert.match(out, /reads +│ \d+ +│ \d+ \/s/)
    assert.equal((await run(['shell', '--url', url], { input: '.tables' })).out, '\n')
    const wrong = await run(['bench', '--url', url, '--writers', '257'])
    assert.deepEqual([wrong.code, /from 0 to 256/.test(wrong.err)], [2, true])
  })

  it('drops its table at Ctrl-C too, after telling what it saw', async (t) => {
    const { url } = await serve(t)
    const bench = new Running(['bench', '--url', url, '--seconds', '600'])
    await until('it writes', async () => {
      const { out } = await run(['shell', '--url', url], { input: '.tables' })
      return out.includes('colmena_bench_')
    })
    const [table] = (await run(['shell', '--url', url], { input: '.tables' })).out.split('\n')
    await until('a row is there', async () => {
      const { out } = await run(['exec', `SELECT max(id) > 9 AS go FROM ${table}`, '--url', url])
      return /│ 1 +│/.test(out)
    })
    bench.kill('SIGINT')
    const { code, out, err } = await bench.ended
    assert.deepEqual([code, err], [0, ''])
    assert.match(out, /writes +│ \d+ +│/)
    assert.doesNotMatch(out, /failed/)
    assert.equal((await run(['shell', '--url', url], { input: '.tables' })).out, '\n')
  })

  it('keeps its figures in memory that does not grow', () => {
    const tally = new Tally('writes')
    for (let at = 1; at <= 1_000; at += 1) tally.record(at / 10)
    tally.record(1e12)
    assert.equal(tally.total, 1_001)
    for (const [percentile, ms] of [
      [50, 50],
      [95, 95],
      [99, 99],
    ] as const) {
      assert.ok(Math.abs(tally.percentileMs(percentile) - ms) < 0.5, String(percentile))
    }
    for (let at = 0; at < 100; at += 1) tally.failed(`at index ${at}`)
    tally.failed('at index 3')
    const failures = tally.failures()
    assert.equal(failures.length, 11)
    assert.equal(failures[3], '2 writes failed: at index 3')
    assert.equal(failures[10], '90 writes failed otherwise')
  })
})
