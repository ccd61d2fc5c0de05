/** The short form of `npm run chaos`, and proof that a run can fail. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { it } from 'node:test'
import { databaseFile } from '../processes/content.ts'
import { runChaos } from './run.ts'
import type { Fault } from './schedule.ts'

const SCHEDULE: readonly Fault[] = [
  { atMs: 500, forMs: 1_200, kind: 'isolate-leader', choice: 1 },
  { atMs: 1_000, forMs: 600, kind: 'kill-one', choice: 2 },
  { atMs: 2_500, forMs: 800, kind: 'pause-leader', choice: 0 },
  { atMs: 4_000, forMs: 500, kind: 'half-open', choice: 1 },
  { atMs: 4_500, forMs: 0, kind: 'transfer', choice: 2 },
]

const ADDS = 80

it('loses nothing, does nothing twice, reads nothing stale amid a handful of faults', async (t) => {
  const { lines, verdict, nemesis, operations } = await runChaos({
    nodes: 3,
    durationMs: 8_000,
    seed: 1,
    schedule: SCHEDULE,
  })
  for (const line of lines) t.diagnostic(line)
  assert.ok(verdict.isGood, lines.join('\n'))
  assert.equal(lines.at(-1), 'lost 0 duplicated 0 stale 0')
  assert.equal(nemesis.done.length, SCHEDULE.length)
  assert.ok(operations > 100, `${operations} operations`)
})

it('finds writes that were acknowledged and never sent, and a row that is gone', async (t) => {
  let asked = 0
  // Enough of them have been read after, by then.
  const enough = new AbortController()
  const { lines, verdict, folder } = await runChaos({
    nodes: 3,
    durationMs: 30_000,
    seed: 2,
    schedule: [],
    restMs: 20,
    signal: enough.signal,
    lies: ([sql]) => {
      if (typeof sql !== 'string' || !sql.startsWith('INSERT INTO appends')) return false
      asked += 1
      if (asked === ADDS) enough.abort()
      return asked % 5 === 0
    },
    // Of one node alone, whose own figures contradict it then.
    tamper: ([, dataDir]) => {
      const file = new DatabaseSync(databaseFile(dataDir as string))
      file.exec('DELETE FROM transfers WHERE id = (SELECT min(id) FROM transfers)')
      file.close()
    },
  })
  t.after(() => rmSync(folder ?? '', { recursive: true, force: true }))
  const text = lines.join('\n')
  assert.ok(verdict.counts.lost > 0, text)
  assert.ok(verdict.counts.stale > 0, text)
  assert.match(text, /node-2\.1: account \d has/)
  assert.match(text, /files have 2 different contents/)
  assert.notEqual(folder, null)
})
