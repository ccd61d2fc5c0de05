/** The record of long runs, and the page that is made of it. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { readTables, root } from '../docs/pages.ts'
import { runNode } from '../scripts/run-node.ts'
import { renderPage } from './page.ts'
import type { Result } from './result.ts'
import { addResult, pageOf, Recorder, readResults, writePage } from './results.ts'

const lives: Result = {
  kind: 'simulate',
  command: 'npm run simulate -- --seeds 1..20000',
  at: '2026-11-26T22:50Z',
  commit: 'c08b102',
  isClean: true,
  node: '24.21.0',
  machine: 'linux x64, 2 cores, 24 GiB',
  seconds: 1_800,
  isGood: true,
  figures: { lives: 20_000, events: 91_000_000, failed: 0 },
}

function createRecord(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'colmena-results-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'results.jsonl')
}

describe('a record', () => {
  it('keeps what is added to it, in order', (t) => {
    const path = createRecord(t)
    assert.deepEqual(readResults(path), [])
    const failed = { ...lives, isGood: false }
    addResult(path, lives)
    addResult(path, failed)
    assert.deepEqual(readResults(path), [lives, failed])
  })

  it('takes nothing where a line of it is none of ours, and names that', (t) => {
    const path = createRecord(t)
    writeFileSync(path, `${JSON.stringify(lives)}\nnotes\n`)
    assert.throws(() => addResult(path, lives), /results\.jsonl:2 is no result/)
    assert.throws(() => new Recorder(path, 'simulate', []), /results\.jsonl:2 is no result/)
    assert.match(readFileSync(path, 'utf8'), /\nnotes\n$/)
  })

  it('has of a run the command, the commit and how it ended', (t) => {
    const path = createRecord(t)
    const args = ['--seeds', '1..9', '--record', path, '--without', 'pause,kill of all']
    new Recorder(path, 'simulate', args).end({ isGood: false, figures: { lives: 9 } })
    const [result] = readResults(path)
    assert.equal(result?.command, "npm run simulate -- --seeds 1..9 --without 'pause,kill of all'")
    assert.equal(result.node, process.versions.node)
    assert.match(result.commit, /^([0-9a-f]{7}|unknown)$/)
    assert.match(result.at, /^\d{4}-\d\d-\d\dT\d\d:\d\dZ$/)
    assert.deepEqual([result.isGood, result.figures], [false, { lives: 9 }])
    assert.equal(readFileSync(pageOf(path), 'utf8'), renderPage([result]))
  })

  it('is added to by the scripts, whose page is made with it', (t) => {
    const path = createRecord(t)
    const life = ['scripts/simulate.mjs', '--seed=1', '--fault-ms=20', `--record=${path}`]
    assert.equal(runNode({ args: life }).status, 0)
    const [result] = readResults(path)
    assert.equal(result?.command, 'npm run simulate -- --seed=1 --fault-ms=20')
    assert.equal(result.figures['lives'], 1)
    assert.ok(Number(result.figures['events']) > 100)
    assert.match(readFileSync(pageOf(path), 'utf8'), /--seed=1 --fault-ms=20/)
  })

  it('has no life that was broken on purpose, and is no other file', (t) => {
    const path = createRecord(t)
    const broken = ['scripts/simulate.mjs', '--seed=1', '--break=clocks', `--record=${path}`]
    const other = ['scripts/soak.mjs', 'kills', '--record=results.md']
    const nowhere = ['scripts/simulate.mjs', '--seed=1', `--record=${path}/none/results.jsonl`]
    for (const args of [broken, other, nowhere]) {
      const { status, stderr } = runNode({ args })
      assert.equal(status, 2)
      assert.match(`${stderr}`, /--record.*\n\nUsage: npm run/)
    }
    assert.deepEqual(readResults(path), [])
  })
})

describe('the page of a record', () => {
  it('sums up runs of a kind, and says which failed', () => {
    const figures = { lives: 10, events: 5, failed: 1 }
    const failed = { ...lives, at: '2026-11-27T01:00Z', isGood: false, figures }
    const [sums, runs] = readTables(renderPage([lives, failed]))
    assert.deepEqual(sums, [
      ['`npm run simulate`', '2', '1', '1.0', 'lives 20,010, events 91,000,005, failed 1'],
    ])
    assert.deepEqual(
      runs?.map(([, , , verdict]) => verdict),
      ['**failed**', 'good'],
    )
  })

  it('has the newest first, and says where a tree had changes', () => {
    const later = { ...lives, at: '2026-11-27T01:00Z', isClean: false }
    const [, runs] = readTables(renderPage([lives, later]))
    assert.deepEqual(
      runs?.map(([at]) => at),
      [later.at, lives.at],
    )
    assert.match(runs[0]?.at(-1) ?? '', /^c08b102 and changes, Node\.js 24/)
  })

  it('has the newest table of mutations, with what nobody found', () => {
    const found = [
      { id: 'old', breaks: 'L1', by: 'commit in own term', seed: 40, isCaught: true },
      { id: 'new', breaks: 'H9', by: 'every invariant held', seed: null, isCaught: false },
    ]
    const gate: Result = { ...lives, kind: 'mutations', found, figures: { mistakes: 2, caught: 1 } }
    const older = { ...gate, at: '2026-11-01T01:00Z', found: [] }
    const page = renderPage([gate, older])
    assert.match(page, /1 of 2 were caught, 1 by simulated lives/)
    assert.deepEqual(readTables(page).at(-1), [
      ['`old`', 'L1', 'commit in own term', '40'],
      ['`new`', 'H9', '**not found**: every invariant held', '–'],
    ])
  })

  it('of this project is what its record says', (t) => {
    const path = createRecord(t)
    writeFileSync(path, readFileSync(`${root}docs/results.jsonl`))
    const page = readFileSync(writePage(path), 'utf8')
    assert.equal(readFileSync(`${root}docs/results.md`, 'utf8'), page)
  })
})
