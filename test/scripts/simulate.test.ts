/** What `npm run simulate` takes, and how it ends. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { root } from '../docs/pages.ts'
import { until } from '../processes/wait.ts'
import { readResults } from '../results/results.ts'
import { LIVES } from '../simulated/passing.ts'
import { runNode } from './run-node.ts'

const SCRIPT = 'scripts/simulate.mjs'

/** In place of the thread that lives: one that goes wrong at seeds 4, 5 and 6. */
const FAILING_THREAD = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module'
  registerHooks({
    resolve: (specifier, context, next) =>
      next(specifier.replace('lives-thread.ts', 'failing-thread.ts'), context),
  })
`)}`

describe('npm run simulate', () => {
  const refused: readonly (readonly [string, RegExp, ...string[]])[] = [
    ['a fault it can not make', /can't break "it", only no-fsync/, '--seed=1', '--break=it'],
    ['a fault that an object has', /can't break "toString"/, '--seed=1', '--break=toString'],
    ['no seed', /Either --seed/],
    ['two ways of naming seeds', /Either --seed/, '--seed=1', '--seeds=1..2'],
    ['a seed that is none', /--seed is a whole number from 0 on, not "abc"/, '--seed', 'abc'],
    ['a seed below all', /--seed is a whole number from 0 on, not "-1"/, '--seed=-1'],
    ['a range that is none', /--seeds is a range A\.\.B, not "5"/, '--seeds', '5'],
    ['a range without seeds', /The range 5\.\.4 is empty/, '--seeds', '5..4'],
    ['times that are none', /--fault-ms is .*, not "1s"/, '--seed=1', '--fault-ms=1s'],
    ['times without end', /--fault-ms is .* up to 300000, not/, '--seed=1', '--fault-ms=300001'],
    ['a kind that is none', /no kind "crush", only crash/, '--seed=1', '--without=crash,crush'],
    ['strikes that are none', /--strikes are numbers .*"1,x"/, '--seed=1', '--strikes=1,x'],
    [
      'strikes of many lives',
      /--strikes does nothing beside --seeds/,
      '--seeds=1..2',
      '--strikes=1',
    ],
    ['calls of many lives', /--calls does nothing beside --seeds/, '--seeds=1..2', '--calls=1'],
    ['less of many lives', /--minimize does nothing beside --seeds/, '--seeds=1..2', '--minimize'],
    ['a shape that is none', /--shape: paceMs is .*, not 0/, '--seed=1', '--shape={"paceMs":0}'],
    ['leases as well', /--leases does nothing beside/, '--seed=1', '--leases', '--break=clocks'],
    [
      'leases that a fault is about',
      /--shape can't have leases beside --break clocks/,
      ...['--seed=1', '--break=clocks', '--shape={"leases":null}'],
    ],
    [
      'leases that are said twice',
      /--shape can't have leases beside --leases/,
      ...['--seed=1', '--leases', '--shape={"leases":null}'],
    ],
  ]
  for (const [what, message, ...args] of refused) {
    it(`refuses ${what} with status 2 and says what it takes`, () => {
      const { status, stderr, stdout } = runNode({ args: [SCRIPT, ...args] })
      assert.equal(status, 2)
      assert.match(stderr, message)
      assert.match(stderr, /Usage: npm run simulate/)
      assert.equal(stdout, '')
    })
  }

  it('goes on behind lives that ended their thread, names them all and records them', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'colmena-simulate-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const path = join(folder, 'results.jsonl')
    const { status, stdout } = runNode({
      args: [
        ...['--import', FAILING_THREAD, SCRIPT],
        ...['--seeds=4..8', '--fault-ms=20', `--record=${path}`],
      ],
    })
    assert.equal(status, 1)
    assert.match(stdout, /^ {2}liveness: Error: no life at all\n +at .*failing-thread/m)
    for (const seed of [4, 5, 6]) {
      assert.match(stdout, new RegExp(`replay: npm run simulate -- --seed ${seed} --fault-ms 20\n`))
    }
    assert.match(stdout, /^5 lives, .*: 3 broke an invariant$/m)
    const [result] = readResults(path)
    assert.equal(result?.isGood, false)
    assert.deepEqual([result?.figures['failed'], result?.figures['seeds']], [3, '4 5 6'])
  })

  it('says of what it was asked for in vain, and is not content', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'colmena-simulate-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const path = join(folder, 'results.jsonl')
    const args = ['--seed=1', '--fault-ms=20', '--strikes=9999', '--without=rot']
    const { status, stdout } = runNode({ args: [SCRIPT, ...args, `--record=${path}`] })
    assert.match(stdout, /^strike 9999 never came\nno rot was left out/m)
    assert.equal(status, 1)
    const [result] = readResults(path)
    assert.equal(result?.isGood, false)
    assert.match(String(result.figures['missing']), /^strike 9999 never came; no rot was left out/)
  })

  it('finds a stale strong read where what leases rest on is broken, and makes less of it', () => {
    const args = [SCRIPT, '--seed=2', '--fault-ms=1000', '--break=promises']
    const found = runNode({ args })
    assert.equal(found.status, 0, found.stdout)
    assert.match(found.stdout, /^ {2}strong reads: one at \d+ misses a write/m)
    assert.match(found.stdout, /replay: .* --seed 2 --fault-ms 1000 --break promises\n/)
    assert.match(found.stdout, /^Seed 2: a stale strong read\.$/m)
    const least = runNode({ args: [...args, '--minimize'] })
    assert.equal(least.status, 0, least.stdout)
    const [, replay = ''] = /replay: npm run simulate -- (.*)\n/.exec(least.stdout) ?? []
    const again = replay.match(/'[^']*'|\S+/g)?.map((arg) => arg.replaceAll("'", '')) ?? []
    const { status, stdout } = runNode({ args: [SCRIPT, ...again] })
    assert.equal(status, 0, stdout)
    assert.match(stdout, /^Seed 2: a stale strong read\.$/m)
  })

  it('finds the write that is lost where nothing is synced', () => {
    const args = ['--seed=99', '--fault-ms=4000', '--break=no-fsync']
    const { status, stdout } = runNode({ args: [SCRIPT, ...args] })
    assert.match(stdout, /^ {2}LOST, in databases that have healed and are level: \d+\n {4}\S/m)
    assert.match(stdout, /replay: .* --seed 99 --fault-ms 4000 --break no-fsync\n/)
    assert.match(stdout, /^Seed 99: a lost write\.$/m)
    assert.equal(status, 0)
  })

  it('leaves nothing in memory when a signal ends it', async () => {
    const child = spawn(process.execPath, [SCRIPT, '--seeds=1..5000', '--fault-ms=200'], {
      cwd: root,
    })
    const place = dirname(LIVES)
    const own = `${basename(LIVES)}-${child.pid}-`
    const folders = (): string[] => readdirSync(place).filter((name) => name.startsWith(own))
    await until('a life is under way', () => folders().length > 0)
    child.kill('SIGINT')
    assert.deepEqual(await once(child, 'exit'), [1, null])
    assert.deepEqual(folders(), [])
  })

  it('takes no other broken rule for what it looks for', () => {
    const args = ['--import', FAILING_THREAD, SCRIPT, '--seed=4', '--break=clocks']
    const { status, stdout } = runNode({ args })
    assert.match(stdout, /^ {2}liveness: Error: no life at all$/m)
    assert.match(stdout, /^Nobody found a stale strong read!$/m)
    assert.equal(status, 1)
  })
})
