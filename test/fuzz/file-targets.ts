/** Files that come from elsewhere: databases of another node, dumps, tables, and who a node is. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { isColmenaError } from '../../src/base/errors.ts'
import { CsvSource } from '../../src/cli/csv-source.ts'
import { loadDump } from '../../src/cli/dump.ts'
import { CliError } from '../../src/cli/failure.ts'
import { openSqliteFile } from '../../src/cli/foreign-database.ts'
import { SqliteSource } from '../../src/cli/sqlite-source.ts'
import { type Identity, readIdentity } from '../../src/node/identity.ts'
import { readChangeset } from '../../src/sqlite/changeset.ts'
import { makePassing } from '../simulated/passing.ts'
import { breakBytes, type Mutation, mutations } from './mutations.ts'
import { type AnyTarget, boundAllocation, codecTarget, describe, type Target } from './target.ts'
import { hex32, optional, record, text } from './values.ts'

let directory = ''

async function openDirectory(): Promise<() => void> {
  directory = makePassing(join(tmpdir(), 'colmena-fuzz-files'))
  return () => rmSync(directory, { recursive: true, force: true })
}

interface Broken {
  readonly sample: number
  readonly other: number
  readonly changes: readonly Mutation[]
}

const broken: fc.Arbitrary<Broken> = record({
  sample: fc.nat(100),
  other: fc.nat(100),
  changes: mutations,
})

/** Some bytes broken, and what reads them. */
function brokenTarget(
  name: string,
  runs: number,
  samples: () => readonly Uint8Array[],
  check: (bytes: Uint8Array, isWhole: boolean) => void | Promise<void>,
): Target<Broken> {
  let made: readonly Uint8Array[] | null = null
  return {
    name,
    runs,
    input: broken,
    open: openDirectory,
    check: ({ sample, other, changes }) => {
      made ??= samples()
      const pick = (at: number): Uint8Array => made?.[at % made.length] as Uint8Array
      return check(breakBytes(pick(sample), pick(other), changes), changes.length === 0)
    },
  }
}

const STATEMENTS = [
  "INSERT INTO t VALUES (1, 'one', 1.5, x'00ff'), (2, NULL, -7, 'zwei'), (3, '', 0, zeroblob(300))",
  "UPDATE t SET b = 'other', d = NULL WHERE a < 3",
  'DELETE FROM t WHERE a = 2',
  'INSERT INTO "u v" VALUES (\'k\', 9223372036854775807)',
]

function changesets(): Uint8Array[] {
  const db = new DatabaseSync(':memory:')
  db.exec('CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c, d BLOB)')
  db.exec('CREATE TABLE "u v" (k TEXT PRIMARY KEY, n)')
  const all = db.createSession()
  const made = STATEMENTS.map((sql) => {
    const session = db.createSession()
    db.exec(sql)
    const changes = session.changeset()
    session.close()
    return changes
  })
  const bytes = [...made, all.changeset()]
  db.close()
  return bytes.map((each) => new Uint8Array(each))
}

function checkChangeset(bytes: Uint8Array, isWhole: boolean): void {
  boundAllocation(bytes.length, undefined, describe(bytes), () => {
    try {
      const tables = readChangeset(bytes)
      const length = tables.reduce((sum, table) => sum + table.bytes.length, 0)
      assert.equal(length, bytes.length, 'all bytes belong to a table')
    } catch (error) {
      if (isWhole || !(error instanceof RangeError)) throw error
    }
  })
}

const DUMPS = [
  `PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE t(a INTEGER PRIMARY KEY, b);
INSERT INTO t VALUES(1,'it''s; -- no comment'),(2,X'00ff');\n/* a ; comment */ -- and another
CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET b = 'x;y'; DELETE FROM t; END;\nCOMMIT;`,
  'CREATE VIEW "v;" AS SELECT [a;b] FROM `c;d`;\nEXPLAIN QUERY PLAN SELECT 1;\n',
]

async function checkDump(bytes: Uint8Array, isWhole: boolean): Promise<void> {
  const path = join(directory, 'dump.sql')
  writeFileSync(path, bytes)
  await refused(isWhole, async () => {
    const db = await loadDump(path)
    await drain(new SqliteSource(path, db))
  })
}

const CSVS = ['a,b,"c ""d"""\r\n1,,"x\ny"\r\n2,"",ü\n', 'ein;zwei\n1;2\n']

async function checkCsv(bytes: Uint8Array, isWhole: boolean): Promise<void> {
  const path = join(directory, 'table.csv')
  writeFileSync(path, bytes)
  const separator = bytes[0] === 0x61 ? ',' : ';'
  await refused(isWhole, () =>
    drain(new CsvSource({ path, table: 't', hasTable: false, separator })),
  )
}

function sqliteFiles(): Uint8Array[] {
  return ['', 'WITHOUT ROWID'].map((kind, at) => {
    const path = join(directory, `sample-${at}.db`)
    const db = new DatabaseSync(path)
    db.exec('PRAGMA page_size = 512')
    db.exec(`CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c, d BLOB) ${kind}`)
    db.exec('CREATE INDEX i ON t (b); CREATE VIEW v AS SELECT * FROM t')
    db.exec(STATEMENTS[0] as string)
    db.close()
    return new Uint8Array(readFileSync(path))
  })
}

async function checkSqliteFile(bytes: Uint8Array, isWhole: boolean): Promise<void> {
  const path = join(directory, 'broken.db')
  rmSync(`${path}-journal`, { force: true })
  writeFileSync(path, bytes)
  await refused(isWhole, async () => {
    await drain(new SqliteSource(path, openSqliteFile(path)))
  })
}

async function drain(source: SqliteSource | CsvSource): Promise<void> {
  try {
    for await (const unit of source.units()) assert.ok(unit.rows >= 0)
  } finally {
    source.close()
  }
}

/** Runs what may only end well, or with a sentence for who sits before it. */
async function refused(isWhole: boolean, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (isWhole || !(error instanceof CliError)) throw error
  }
}

const identity = optional(
  {
    format: fc.constant(1),
    clusterId: hex32,
    nodeId: text.filter((name) => name !== ''),
    memberId: fc.integer({ min: 1, max: 2 ** 48 - 1 }),
    incarnation: fc.nat(),
    state: fc.constantFrom('new', 'established'),
    genesis: fc.constantFrom('bootstrap', 'join'),
  },
  { votePromiseMs: fc.nat() },
) as fc.Arbitrary<Identity>

function decodeIdentity(bytes: Uint8Array): Identity {
  mkdirSync(join(directory, 'data'), { recursive: true })
  writeFileSync(join(directory, 'data', 'identity.json'), bytes)
  const found = readIdentity(join(directory, 'data'))
  assert.ok(found !== null)
  // What goes into each handshake, and is one more with each open.
  for (const number of [found.memberId, found.incarnation + 1, found.votePromiseMs ?? 0]) {
    assert.ok(Number.isSafeInteger(number) && number >= 0, `${number} is no number of a node`)
  }
  assert.ok(found.memberId > 0, 'member 0 is nobody')
  return found
}

const identityTarget = codecTarget<Identity>({
  name: 'node.identity',
  runs: 100,
  value: identity,
  encode: (made) => encode(JSON.stringify(made)),
  decode: decodeIdentity,
  isRefusal: (error) => isColmenaError(error),
})

const odd = fc.constantFrom<unknown>(
  -1,
  0,
  1.5,
  2 ** 53,
  2 ** 53 - 1,
  -(2 ** 60),
  null,
  '',
  'x',
  [],
)

/** One field of it is another value, which no change of a byte would make of it. */
const identityFields: Target<[Identity, keyof Identity, unknown]> = {
  name: 'node.identityFields',
  runs: 150,
  input: fc.tuple(
    identity,
    fc.constantFrom('format', 'memberId', 'incarnation', 'votePromiseMs', 'nodeId', 'clusterId'),
    odd,
  ),
  open: openDirectory,
  check: ([made, field, value]) => {
    try {
      decodeIdentity(encode(JSON.stringify({ ...made, [field]: value })))
    } catch (error) {
      if (!isColmenaError(error)) throw error
    }
  },
}

export const fileTargets: readonly AnyTarget[] = [
  brokenTarget('sqlite.changeset', 250, changesets, checkChangeset),
  brokenTarget('cli.dump', 60, () => DUMPS.map(encode), checkDump),
  brokenTarget('cli.csv', 100, () => CSVS.map(encode), checkCsv),
  brokenTarget('cli.sqlite', 80, sqliteFiles, checkSqliteFile),
  { ...identityTarget, open: openDirectory },
  identityFields,
]

function encode(content: string): Uint8Array {
  return new TextEncoder().encode(content)
}
