/** The record of long runs, and the page that is made of it. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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

/** What the compiler keeps would not fit, either. */
const { NODE_COMPILE_CACHE: _cache, ...ENV } = process.env

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

  const others: readonly (readonly [string, unknown])[] = [
    ['an object without fields', {}],
    ['of no kind', { ...lives, kind: 'walks' }],
    ['without its figures', { ...lives, figures: null }],
    ['with figures that are none', { ...lives, figures: { lives: [] } }],
    ['with a mutation that is none', { ...lives, found: [{ id: 'x' }] }],
    ['with a field that nobody knows', { ...lives, toString: 'x' }],
    ['begun at no time', { ...lives, at: 'today' }],
  ]
  for (const [what, line] of others) {
    it(`takes no line for a result that is ${what}`, (t) => {
      const path = createRecord(t)
      writeFileSync(path, `${JSON.stringify(line)}\n`)
      assert.throws(() => readResults(path), /results\.jsonl:1 is no result/)
    })
  }

  it('takes nothing behind a line that was cut off, which would be glued to it', (t) => {
    const path = createRecord(t)
    writeFileSync(path, JSON.stringify(lives))
    assert.throws(() => new Recorder(path, 'simulate', []), /ends within a line/)
    assert.throws(() => addResult(path, lives), /ends within a line/)
    assert.equal(readFileSync(path, 'utf8'), JSON.stringify(lives))
  })

  it('costs no page that is none of results', (t) => {
    const path = createRecord(t)
    writeFileSync(pageOf(path), '# Testing\n')
    assert.throws(() => new Recorder(path, 'simulate', []), /results\.md.* is no page of results/)
    assert.equal(existsSync(path), false)
    writeFileSync(path, `${JSON.stringify(lives)}\n`)
    assert.throws(() => writePage(path), /is no page of results/)
    assert.equal(readFileSync(pageOf(path), 'utf8'), '# Testing\n')
  })

  it('that can no longer be written at the end names the line that it lacks', (t) => {
    const path = createRecord(t)
    const recorder = new Recorder(path, 'simulate', [])
    writeFileSync(path, 'notes\n')
    const outcome = { isGood: true, figures: { lives: 7 } }
    assert.throws(() => recorder.end(outcome), /:1 is no result; its line is \{.*"lives":7/)
  })

  it('and its page stay whole where the disk takes only a part of more', (t) => {
    const path = createRecord(t)
    addResult(path, lives)
    writePage(path)
    const [record, page] = [readFileSync(path), readFileSync(pageOf(path))]
    // Room for a part of a line, and none for a page.
    const blocks = Math.ceil((record.length + 1) / 512)
    const code = `
      const { addResult, writePage } = await import('./test/results/results.ts')
      for (const write of [() => addResult(${JSON.stringify(path)}, ${JSON.stringify(lives)}),
        () => writePage(${JSON.stringify(path)})])
        try { write(); console.log('written') } catch (error) { console.log(error.code) }`
    const limited = spawnSync(
      'sh',
      [
        '-c',
        `ulimit -f ${blocks}; exec "$0" "$@"`,
        process.execPath,
        '--input-type=module',
        '--eval',
        code,
      ],
      { cwd: root, encoding: 'utf8', env: ENV },
    )
    assert.equal(limited.stdout, 'EFBIG\nEFBIG\n', limited.stderr)
    assert.deepEqual([readFileSync(path), readFileSync(pageOf(path))], [record, page])
    assert.equal(existsSync(`${pageOf(path)}.new`), false)
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

  it('tells of a run that a signal or an error broke off, and how far it was', async (t) => {
    const path = createRecord(t)
    const door = `
      import { openRecorder } from './scripts/record.mjs'
      const recorder = await openRecorder(${JSON.stringify(path)}, 'soak', '', ['kills'])
      recorder.whileRunning(() => ({ lives: 3 }))
    `
    const thrown = `${door} setImmediate(() => { throw new Error('the disk\\nis gone') })`
    assert.equal(runNode({ args: ['--input-type=module', '--eval', thrown] }).status, 1)
    const waits = `${door} setInterval(() => {}, 1_000); console.log('open')`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', waits], { cwd: root })
    child.stdout.once('data', () => child.kill('SIGINT'))
    assert.equal(await new Promise((resolve) => child.once('exit', resolve)), 1)
    const results = readResults(path)
    assert.deepEqual(
      results.map(({ command, isGood, brokenOff }) => [command, isGood, brokenOff]),
      [
        ['npm run soak -- kills', false, 'the disk'],
        ['npm run soak -- kills', false, 'SIGINT'],
      ],
    )
    assert.deepEqual(results[1]?.figures, { lives: 3 })
    assert.match(readFileSync(pageOf(path), 'utf8'), /\*\*broken off\*\*: SIGINT \| lives 3 /)
  })

  it('that fails does not change what a run came to', (t) => {
    const path = createRecord(t)
    const code = `
      import { writeFileSync } from 'node:fs'
      import { openRecorder } from './scripts/record.mjs'
      const recorder = await openRecorder(${JSON.stringify(path)}, 'soak', '', ['kills'])
      writeFileSync(${JSON.stringify(path)}, 'notes')
      recorder.end({ isGood: true, figures: {} })
      process.exit(0)
    `
    const { status, stderr } = runNode({ args: ['--input-type=module', '--eval', code] })
    assert.equal(status, 0)
    assert.match(stderr, /could not be recorded: .*ends within a line/)
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
    assert.equal(existsSync(path), false)
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

  it('groups the digits of amounts, and not those of a seed', () => {
    const [, runs] = readTables(renderPage([{ ...lives, figures: { seed: 12_345, lives: 6_789 } }]))
    assert.equal(runs?.[0]?.[4], 'seed 12345, lives 6,789')
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

  it('is made by a script, or nothing is touched and a sentence says why', (t) => {
    const path = createRecord(t)
    const make = () => runNode({ args: ['scripts/results.mjs', path] })
    writeFileSync(pageOf(path), renderPage([lives]))
    const missing = make()
    writeFileSync(path, 'notes\n')
    const wrong = make()
    for (const { status, stderr } of [missing, wrong]) {
      assert.equal(status, 1)
      assert.match(stderr, /^No page was made: .*results\.jsonl.*\.\n$/)
    }
    assert.equal(readFileSync(pageOf(path), 'utf8'), renderPage([lives]))
    writeFileSync(path, '')
    assert.equal(make().status, 0)
    assert.equal(readFileSync(pageOf(path), 'utf8'), renderPage([]))
  })

  it('of this project is what its record says', (t) => {
    const path = createRecord(t)
    writeFileSync(path, readFileSync(`${root}docs/results.jsonl`))
    const page = readFileSync(writePage(path), 'utf8')
    const isEqual = readFileSync(`${root}docs/results.md`, 'utf8') === page
    assert.ok(isEqual, '`npm run results` makes it anew')
  })
})
