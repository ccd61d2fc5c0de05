/** The short form of `npm run chaos`, proof that a run can fail, and that nothing outlives it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { databaseFile } from '../processes/content.ts'
import { until } from '../processes/wait.ts'
import { runChaos } from './run.ts'
import { type Fault, formatSchedule } from './schedule.ts'

const SCRIPT = new URL('../../scripts/chaos.mjs', import.meta.url)

const SCHEDULE: readonly Fault[] = [
  { atMs: 200, forMs: 900, kind: 'isolate-leader', choice: 1 },
  { atMs: 300, forMs: 500, kind: 'pause-leader', choice: 0 },
  { atMs: 1_000, forMs: 200, kind: 'kill-one', choice: 2 },
  { atMs: 1_200, forMs: 500, kind: 'half-open', choice: 1 },
]

/** Processes that have this text in their environment: every one that a run has started. */
function processesWith(text: string): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(text)
    } catch {
      return false
    }
  })
}

describe('chaos', { concurrency: true }, () => {
  it('loses nothing amid a handful of faults, and finds what is forged', async (t) => {
    let wasGood = false
    let told = 0
    const enough = new AbortController()
    const { lines, verdict, nemesis, operations, folder } = await runChaos({
      nodes: 3,
      durationMs: 60_000,
      seed: 1,
      schedule: SCHEDULE,
      signal: enough.signal,
      progress: (line) => {
        if (SCHEDULE.some(({ kind }) => line.includes(` s ${kind}: `))) told += 1
        if (told === SCHEDULE.length) enough.abort()
      },
      forge: ({ verdict: before, ledger, dataDirs: [, dataDir] }) => {
        wasGood = before.isGood
        // One that was acknowledged and is nowhere, and on one node alone one that is gone.
        ledger.settle(ledger.next(), 'ok')
        const file = new DatabaseSync(databaseFile(dataDir as string))
        const ids = file
          .prepare('SELECT id FROM transfers')
          .all()
          .map(({ id }) => Number(id))
        const id = ids.find((one) => ledger.fate(one) === 'ok') ?? null
        file.prepare('DELETE FROM transfers WHERE id = ?').run(id)
        file.close()
      },
    })
    t.after(() => rmSync(folder ?? '', { recursive: true, force: true }))
    const text = lines.join('\n')
    for (const line of lines) t.diagnostic(line)
    assert.ok(wasGood, text)
    assert.equal(nemesis.done.length, SCHEDULE.length)
    for (const kind of ['pause-leader', 'kill-one'] as const) {
      assert.deepEqual(nemesis.counts.get(kind), { begun: 1, struck: 1 })
    }
    assert.ok(operations > 50, `${operations} operations`)
    assert.equal(verdict.counts.lost, 4, text)
    assert.match(text, /node-2\.1: account \d has/)
    assert.match(text, /files have 2 different contents/)
    assert.equal(lines.at(-1), 'lost 4 duplicated 0 stale 0')
    assert.notEqual(folder, null)
  })

  it('is judged where somebody has had enough, and leaves no process', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'colmena-chaos-test-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const schedule = join(folder, 'schedule.jsonl')
    writeFileSync(
      schedule,
      formatSchedule([
        { atMs: 0, forMs: 200, kind: 'one-way', choice: 1 },
        { atMs: 100, forMs: 30_000, kind: 'pause-one', choice: 2 },
      ]),
    )
    const flags = ['--minutes', '2', '--leases', '--schedule', schedule]
    const mark = `CHAOS_TEST=${folder}`
    const env = { ...process.env, CHAOS_TEST: folder }
    // A group of its own, all of which hears of Ctrl-C, as in a terminal.
    const child = spawn(process.execPath, [SCRIPT.pathname, ...flags], { env, detached: true })
    const lines: string[] = []
    for await (const line of createInterface({ input: child.stdout })) {
      lines.push(line)
      // The other one is under way by now, and stands still.
      if (line.includes('one-way')) process.kill(-(child.pid as number), 'SIGINT')
    }
    await until('it has ended', () => child.exitCode !== null)
    const text = lines.join('\n')
    assert.equal(child.exitCode, 0, text)
    assert.match(text, /all is healed and judged now/)
    assert.match(text, /strong reads by lease/)
    assert.match(text, /pause-one: node-3\.1/)
    assert.equal(lines.at(-1), 'lost 0 duplicated 0 stale 0')
    await until('no process is left', () => processesWith(mark).length === 0)
  })
})
