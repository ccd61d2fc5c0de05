/** What the bench takes, before it measures anything. */
import assert from 'node:assert/strict'
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { PEERS, whyAbsent } from '../../bench/peers/servers.ts'
import { describeTarget, GROUPS, groupOf, meetsTarget, ROWS } from '../../bench/rows.ts'
import { describeRun, formatJson } from '../../bench/table.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

function runBench(...args: string[]): SpawnSyncReturns<string> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  return spawnSync(process.execPath, ['scripts/bench.mjs', ...args], {
    cwd: root,
    encoding: 'utf8',
    env,
    timeout: 60_000,
  })
}

describe('npm run bench', () => {
  const refused: readonly (readonly [string, RegExp, ...string[]])[] = [
    ['an unknown flag', /Unknown option '--fast'/, '--fast'],
    ['an unknown part', /no part "wirte", only write, transaction, read/, '--only', 'wirte'],
    ['a part that is none, after one that is', /no part "all"/, '--only', 'read', '--only', 'all'],
    ['an unknown thread', /no thread "main", only engine, storage, user/, '--profile', 'main'],
    ['a file where no folder is', /no folder for "none\/a.json"/, '--json', 'none/a.json'],
    ['a page where no folder is', /--markdown: there is no/, '--markdown', 'none/a.md'],
    ['a profile of some rows', /goes with no other flag/, '--profile', 'user', '--only', 'write'],
    ['peers of a part without jobs', /goes with the part "jobs"/, '--only', 'read', '--peers'],
    ['a profile of peers', /goes with no other flag/, '--profile', 'user', '--peers'],
    ['a flag without its value', /'--json <value>' argument missing/, '--json'],
    ['a bare word', /Unexpected argument 'write'/, 'write'],
  ]
  for (const [what, message, ...args] of refused) {
    it(`refuses ${what} with status 2 and says what it takes`, () => {
      const { status, stderr, stdout } = runBench(...args)
      assert.equal(status, 2)
      assert.match(stderr, message)
      assert.match(stderr, /Usage: npm run bench/)
      assert.equal(stdout, '')
    })
  }

  it('says what it takes when asked', () => {
    const { status, stdout } = runBench('--help')
    assert.equal(status, 0)
    for (const group of GROUPS) assert.match(stdout, new RegExp(`\\b${group}\\b`))
  })
})

describe('the rows of the bench', () => {
  it('have ids of their own, each in a part that there is', () => {
    assert.equal(new Set(ROWS.map(({ id }) => id)).size, ROWS.length)
    for (const row of ROWS) assert.ok(GROUPS.includes(groupOf(row)), row.id)
    for (const { id, raw } of ROWS) {
      if (raw !== undefined) assert.ok(ROWS.some((row) => row.id === raw) && raw !== id, id)
    }
  })

  it('are the same for the jobs of each peer, which are held to nothing', () => {
    const rowsOf = (peer: string | undefined, prefix: string): string[] => {
      const own = ROWS.filter((row) => groupOf(row) === 'jobs' && row.peer === peer)
      return own.map(({ id }) => id.replace(prefix, 'jobs.'))
    }
    const ours = rowsOf(undefined, 'jobs.').filter((id) => !id.includes('.raw.'))
    assert.equal(ours.length, 5)
    for (const { name } of PEERS) assert.deepEqual(rowsOf(name, `jobs.${name}.`), ours)
    for (const row of ROWS)
      if (row.peer !== undefined) assert.equal(describeTarget(row, new Map()), '')
  })

  it('are held to a least, to a most, or to another row', () => {
    const rowOf = (id: string) => ROWS.find((row) => row.id === id) ?? assert.fail(id)
    const values = new Map([['write.serial.leader.p50Ms', 0.8]])
    const cases: readonly (readonly [string, number, number])[] = [
      ['write.cluster.32.perSecond', 10_000, 9_999],
      ['failover.ms', 300, 301],
      ['write.serial.follower.p50Ms', 1.29, 1.31],
    ]
    for (const [id, met, missed] of cases) {
      assert.ok(meetsTarget(rowOf(id), met, values), id)
      assert.ok(!meetsTarget(rowOf(id), missed, values), id)
    }
    assert.equal(describeTarget(rowOf('write.cluster.32.perSecond'), values), '>= 10,000')
    assert.equal(describeTarget(rowOf('write.serial.follower.p50Ms'), values), '<= 1.30')
    assert.equal(describeTarget(rowOf('write.serial.follower.p50Ms'), new Map()), null)
    assert.equal(describeTarget(rowOf('read.raw.perSecond'), values), '')
  })
})

describe('the peers of the bench', () => {
  it('are no part of what the project installs', () => {
    const manifest = readFileSync(`${root}package.json`, 'utf8')
    const lock = readFileSync(`${root}package-lock.json`, 'utf8')
    const peers = JSON.parse(readFileSync(`${root}bench/peers/package.json`, 'utf8'))
    for (const { module } of PEERS) {
      assert.match(peers.dependencies[module], /^\d+\.\d+\.\d+$/)
      for (const text of [manifest, lock]) assert.ok(!text.includes(`"${module}"`), module)
      assert.ok(!lock.includes(`node_modules/${module}"`), module)
    }
  })

  it('are named as not installed where a package or a server is not there', () => {
    const [peer] = PEERS
    assert.ok(peer !== undefined)
    const there = { ...peer, program: () => '/bin/true' }
    assert.equal(whyAbsent({ ...there, module: 'nowhere' }), 'not installed')
    assert.equal(whyAbsent({ ...peer, program: () => null }), 'not installed')
  })
})

describe('docs/bench.json', () => {
  it('is what a run writes, with figures of rows that there are', () => {
    const shipped = JSON.parse(readFileSync(`${root}docs/bench.json`, 'utf8'))
    const written = JSON.parse(
      formatJson(describeRun(), new Map([['write.single.1.perSecond', 1]])),
    )
    for (const key of ['machine', 'date', 'commit']) {
      assert.ok(typeof shipped[key] === 'string' && typeof written[key] === 'string', key)
    }
    assert.deepEqual(written.figures, { 'write.single.1.perSecond': 1 })
    for (const [id, figure] of Object.entries(shipped.figures)) {
      assert.ok(ROWS.some((row) => row.id === id) && typeof figure === 'number', id)
    }
    assert.ok('write.cluster.32.perSecond' in shipped.figures)
  })
})
