import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { COMPACTION } from '../../src/command/command.ts'
import { Replica } from '../../src/database/database.ts'
import { type ConnectionSettings, Writer } from '../../src/sqlite/sqlite.ts'
import {
  applyAll,
  contentOf,
  GENESIS,
  LogMaker,
  makeDirectory,
  ORIGIN,
  OTHER,
  optionsFor,
  readRows,
  type UnitInput,
} from './log-maker.ts'

const NAMES = ['a', 'b', 'deferred'] as const

const SCHEMA = [
  'CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER UNIQUE, r DEFAULT (random()))',
  "CREATE TRIGGER no BEFORE INSERT ON t WHEN NEW.v % 7 = 6 BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
  'CREATE VIRTUAL TABLE f USING fts5(body)',
  'CREATE TABLE p (id INTEGER PRIMARY KEY)',
]
const DEFERRED_CHILD = 'CREATE TABLE c (p REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)'
const CHILD = 'CREATE TABLE c (p REFERENCES p (id))'

const smallArb = fc.integer({ min: 0, max: 12 })
const unitArb: fc.Arbitrary<UnitInput> = fc.oneof(
  smallArb.map((v): UnitInput => ['INSERT INTO t (v) VALUES (?) RETURNING id', BigInt(v)]),
  smallArb.map((v): UnitInput => ['INSERT OR ROLLBACK INTO t (v) VALUES (?)', BigInt(v)]),
  smallArb.map(
    (v): UnitInput => [
      'INSERT OR FAIL INTO t (v) SELECT value FROM json_each(?)',
      `[${v},${v + 1}]`,
    ],
  ),
  smallArb.map((v): UnitInput => ['DELETE FROM t WHERE v = ? RETURNING v, r', BigInt(v)]),
  smallArb.map((v): UnitInput => ['INSERT INTO f VALUES (?)', `word${v} and others`]),
  smallArb.map((v): UnitInput => ['INSERT INTO c VALUES (?)', BigInt(v)]),
  smallArb.map((v): UnitInput => ['INSERT OR IGNORE INTO p VALUES (?)', BigInt(v)]),
  smallArb.map((v): UnitInput => ['UPDATE p SET id = id + 100 WHERE id = ?', BigInt(v)]),
  fc.constant<UnitInput>('SELECT last_insert_rowid(), changes(), random()'),
  fc.constant<UnitInput>('SELEC'),
  fc.constant<UnitInput>('INSERT INTO t (v) VALUES ("text")'),
  fc.constant<UnitInput>('ANALYZE'),
)
/** What a write asks of its database, mostly nothing: the other value is refused. */
const asksArb = fc.constantFrom(undefined, undefined, undefined, false, true)
const stepArb = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('write'),
      name: fc.constantFrom(...NAMES),
      units: fc.array(unitArb, { maxLength: 4 }),
      repeat: fc.boolean(),
      asks: asksArb,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('drop'),
      name: fc.constantFrom(...NAMES),
      asks: asksArb,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('reopen'),
      // Another one than the second member's: the cluster is mixed until the next one.
      fingerprint: fc.constantFrom('one', 'two'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('compact'),
      name: fc.constantFrom(...NAMES, 'none'),
      repeat: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('empty') }) },
)
type Step =
  | {
      kind: 'write'
      name: string
      units: readonly UnitInput[]
      repeat: boolean
      asks?: boolean | undefined
    }
  | { kind: 'drop'; name: string; asks?: boolean | undefined }
  | { kind: 'compact'; name: string; repeat: boolean }
  | { kind: 'reopen'; fingerprint: 'one' | 'two' }
  | { kind: 'empty' }

function schemaOf(name: string): readonly string[] {
  return [...SCHEMA, name === 'deferred' ? DEFERRED_CHILD : CHILD]
}

function makeLog(steps: readonly Step[]): LogMaker {
  const log = new LogMaker()
  let drops = 0
  let opens = 0
  let origin = ORIGIN
  log.register()
  log.register(2, OTHER)
  for (const name of NAMES) log.write(name, schemaOf(name))
  for (const step of steps) {
    if (step.kind === 'empty') log.empty()
    if (step.kind === 'write') {
      log.doubleQuotedStrings = step.asks
      const { data } = log.write(step.name, step.units, origin)
      if (step.repeat) log.push(data)
    }
    if (step.kind === 'compact') {
      log.doubleQuotedStrings = undefined
      const { data } = log.write(step.name, [COMPACTION], origin)
      if (step.repeat) log.push(data)
    }
    if (step.kind === 'drop') {
      drops += 1
      log.drop(step.name, drops, origin)
      log.doubleQuotedStrings = step.asks
      log.write(step.name, schemaOf(step.name), origin)
    }
    if (step.kind === 'reopen') {
      opens += 1
      const next = opens.toString(16).padStart(32, '0')
      log.register(1, next, origin, step.fingerprint)
      origin = next
      drops = 0
    }
  }
  return log
}

interface Final {
  readonly results: string
  readonly state: string
}

const STATE = 'SELECT clock_ms, last_write, digest, part_index FROM _colmena_state'
const SEQUENCES = 'SELECT origin, last FROM _colmena_sequences ORDER BY origin'

function finalState(directory: string): string {
  return NAMES.map((name) => {
    const own = [...readRows(directory, name, STATE), ...readRows(directory, name, SEQUENCES)]
    return `${name} ${contentOf(directory, name)} ${own.join(' ')}`
  }).join('\n')
}

function print(results: readonly unknown[]): string {
  return results
    .map((result) => JSON.stringify(result, plain))
    .sort()
    .join('\n')
}

/** Without what a compaction tells of one node's files. */
function plain(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`
  const isOfSizes = typeof value === 'object' && value !== null && 'columns' in value
  return isOfSizes && String(value.columns).startsWith('beforeBytes') ? 'sizes' : value
}

function run(context: TestContext, log: LogMaker, sizes: readonly number[]): Final {
  const directory = makeDirectory(context)
  const replica = Replica.create(optionsFor(directory), GENESIS)
  try {
    const results = print(applyAll(replica, log, sizes))
    return { results, state: finalState(directory) }
  } finally {
    replica.close()
    fs.rmSync(directory, { recursive: true })
  }
}

test('results and content do not depend on how entries are grouped', (context) => {
  const sizesArb = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(fc.array(stepArb, { maxLength: 40 }), sizesArb, (steps, sizes) => {
      const log = makeLog(steps as Step[])
      const alone = run(context, log, [1])
      assert.deepEqual(run(context, log, sizes), alone)
      assert.deepEqual(run(context, log, []), alone)
    }),
    { seed: 20261123, numRuns: 25 },
  )
})

/** Stands for the death of the process at a commit: what is committed stays, the rest is gone. */
class Death extends Error {}

/** Kills at the nth commit of any file, before or after it is done. */
class Killer {
  commitsLeft = Number.POSITIVE_INFINITY
  isAfter = false
  isDead = false

  readonly open = (path: string, options: ConnectionSettings): Writer => {
    const killer = this
    class Mortal extends Writer {
      override commit(): void {
        killer.commitsLeft -= 1
        const isLast = killer.commitsLeft === 0
        if (isLast && !killer.isAfter) killer.die()
        super.commit()
        if (isLast) killer.die()
      }
    }
    return new Mortal(path, options)
  }

  die(): never {
    this.isDead = true
    throw new Death('the process died')
  }
}

/** Applies a log, dying at the nth commit; false if there is no nth commit any more. */
function dieAt(directory: string, log: LogMaker, commits: number, isAfter: boolean): boolean {
  const killer = new Killer()
  const options = optionsFor(directory, { openWriter: killer.open })
  const replica = Replica.create(options, GENESIS)
  killer.isAfter = isAfter
  killer.commitsLeft = commits
  try {
    applyAll(replica, log, [7, 4])
  } catch (error) {
    if (!(error instanceof Death)) throw error
  }
  killer.commitsLeft = Number.POSITIVE_INFINITY
  replica.close()
  return killer.isDead
}

test('a death between any two commits is made good by the replay', (context) => {
  const log = makeLog([
    { kind: 'write', name: 'a', units: ['INSERT INTO t (v) VALUES (1)'], repeat: true },
    {
      kind: 'write',
      name: 'deferred',
      units: ['INSERT INTO p VALUES (1)', 'INSERT INTO c VALUES (2)', 'INSERT INTO c VALUES (1)'],
      repeat: true,
    },
    { kind: 'drop', name: 'a' },
    { kind: 'write', name: 'a', units: ['INSERT INTO t (v) VALUES (6)'], repeat: false },
    { kind: 'compact', name: 'a', repeat: true },
    { kind: 'compact', name: 'none', repeat: false },
    { kind: 'reopen', fingerprint: 'two' },
    { kind: 'write', name: 'b', units: ['INSERT INTO t (v) VALUES (2)'], repeat: true },
    { kind: 'drop', name: 'b' },
  ])
  const expected = run(context, log, [7, 4]).state
  let deaths = 0
  for (const isAfter of [false, true]) {
    for (let commits = 1; ; commits += 1) {
      const directory = makeDirectory(context)
      if (!dieAt(directory, log, commits, isAfter)) break
      deaths += 1
      const replica = Replica.open(optionsFor(directory, { ownOrigin: OTHER }))
      applyAll(replica, log, [3])
      assert.equal(finalState(directory), expected, `commit ${commits}, after: ${isAfter}`)
      assert.equal(replica.highestApplied, log.lastIndex)
      replica.close()
    }
  }
  assert.ok(deaths > 30, `${deaths} deaths`)
})
