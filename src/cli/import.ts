import { createHash } from 'node:crypto'
import { closeSync, createReadStream, existsSync, openSync, readSync } from 'node:fs'
import { basename, extname } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { ApiClient, WireStatement } from './client.ts'
import { CsvSource } from './csv-source.ts'
import { CliError, sentenceOf, usageError } from './failure.ts'
import { type ImportSource, quoteName, type Unit } from './import-source.ts'
import { Progress } from './progress.ts'
import { SqlSource } from './sql-source.ts'
import { SqliteSource } from './sqlite-source.ts'

export interface ImportOptions {
  readonly database: string
  readonly format?: 'sqlite' | 'sql' | 'csv'
  /** Of a CSV file. */
  readonly table?: string
  readonly replace?: boolean
}

/** A row for each unit that is applied: none can be applied twice, whoever sends it again. */
const NOTES = 'colmena_import'
const TRY_AGAIN_MS = 300
/** Without a single unit applied. */
const PATIENCE_MS = 60_000

/** Brings a file into a database; started again after an end of any kind, it goes on. */
export async function runImport(
  client: ApiClient,
  path: string,
  options: ImportOptions,
): Promise<void> {
  if (!existsSync(path)) throw new CliError(`there is no file ${path}`)
  const target = new ImportTarget(client, options.database, await identify(path, options))
  const begun = await target.unitsDone(options.replace)
  const source = await openSource(client, path, options, begun !== null)
  try {
    if (begun === null) await prepare(target, source, options)
    else process.stderr.write(`going on after ${begun} parts that are there already\n`)
    await send(target, source, begun ?? 0)
  } finally {
    source.close()
  }
  for (const sentence of source.leftOut) process.stderr.write(`left out: ${sentence}\n`)
  if (source.leftOut.length > 0) throw new CliError('the rest is there')
}

/** What an import is told by: the same file into the same place. */
async function identify(path: string, { table = '' }: ImportOptions): Promise<string> {
  const hash = createHash('sha256').update(`${table}\n`)
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

async function openSource(
  client: ApiClient,
  path: string,
  options: ImportOptions,
  isBegun: boolean,
): Promise<ImportSource> {
  const format = options.format ?? guessFormat(path)
  if (format === 'sqlite') return new SqliteSource(path)
  if (format === 'sql') return new SqlSource(path, options.replace === true)
  const table = options.table ?? basename(path, extname(path))
  const target = new ImportTarget(client, options.database, '')
  const isThere = options.replace !== true && (await target.existing([table])).length > 0
  if (isThere && options.table === undefined && !isBegun) {
    throw new CliError(
      `there is a table ${table} already: --table ${table} adds to it, --replace drops it first`,
    )
  }
  return new CsvSource({ path, table, hasTable: isThere })
}

function guessFormat(path: string): 'sqlite' | 'sql' | 'csv' {
  const magic = Buffer.alloc(16)
  const descriptor = openSync(path, 'r')
  readSync(descriptor, magic)
  closeSync(descriptor)
  if (magic.toString('latin1') === 'SQLite format 3\0') return 'sqlite'
  const extension = extname(path).toLowerCase()
  if (extension === '.sql' || extension === '.dump') return 'sql'
  if (extension === '.csv') return 'csv'
  throw usageError(`what ${path} is does not show: give --format sqlite, sql or csv`)
}

async function prepare(
  target: ImportTarget,
  source: ImportSource,
  options: ImportOptions,
): Promise<void> {
  const existing = source.makes === null ? [] : await target.existing(source.makes)
  if (existing.length > 0 && options.replace !== true) {
    const names = existing.map(({ name }) => name).join(', ')
    throw new CliError(`there is already: ${names}. --replace drops what the file brings anew`)
  }
  // Views and children before what they stand on, or dropping that would leave them without.
  const drops = existing.toReversed().map(({ name, type }) => `DROP ${type} ${quoteName(name)}`)
  await target.begin(drops)
}

async function send(target: ImportTarget, source: ImportSource, begun: number): Promise<void> {
  const progress = new Progress(source.rows)
  let number = 0
  let rows = 0
  for await (const unit of source.units()) {
    number += 1
    rows += unit.rows
    // What is there already is read again, as only that tells where the next one begins.
    if (number > begun) await target.apply(number, unit)
    else progress.skipped(rows)
    progress.update(rows)
  }
  await target.end()
  const perSecond = Math.round(progress.end()).toLocaleString('en-US')
  process.stdout.write(`${rows.toLocaleString('en-US')} rows are there (${perSecond} rows/s)\n`)
}

/** A database that an import goes into, and its notes in there. */
class ImportTarget {
  readonly #client: ApiClient
  readonly #database: string
  readonly #source: string

  constructor(client: ApiClient, database: string, source: string) {
    this.#client = client
    this.#database = database
    this.#source = source
  }

  /** How many units an earlier try brought; null where there was none. */
  async unitsDone(replaces = false): Promise<number | null> {
    if ((await this.existing([NOTES])).length === 0) return null
    const [row] = await this.#rows(`SELECT max(source) AS source, max(unit) FROM ${NOTES}`)
    if (row?.[0] !== this.#source) {
      // One that brought nothing is in nobody's way.
      if (replaces || Number(row?.[1]) === 0) return null
      throw new CliError(
        'the import of another file is unfinished here: go on with that, or give --replace',
      )
    }
    return Number(row?.[1])
  }

  /** Which of these tables and views there are. */
  async existing(
    names: readonly string[],
  ): Promise<readonly { readonly name: string; readonly type: string }[]> {
    const sql = "SELECT lower(name), type FROM sqlite_schema WHERE type IN ('table', 'view')"
    const there = new Map((await this.#rows(sql)).map(([name, type]) => [name, String(type)]))
    return names.flatMap((name) => {
      const type = there.get(name.toLowerCase())
      return type === undefined ? [] : [{ name, type }]
    })
  }

  async begin(statements: readonly string[]): Promise<void> {
    await this.#client.batch(this.#database, [
      ...statements.map((sql) => ({ sql })),
      { sql: `DROP TABLE IF EXISTS ${NOTES}` },
      { sql: `CREATE TABLE ${NOTES} (unit INTEGER PRIMARY KEY, source TEXT)` },
      this.#note(0),
    ])
  }

  /** Tries until it is certain that the unit is applied once. */
  async apply(number: number, unit: Unit): Promise<void> {
    const deadlineMs = performance.now() + PATIENCE_MS
    for (;;) {
      try {
        await this.#client.batch(this.#database, [...unit.statements, this.#note(number)])
        return
      } catch (error) {
        const done = await this.unitsDone().catch(() => null)
        if (done !== null && done >= number) return
        if (performance.now() > deadlineMs || !isPassing(error)) {
          throw new CliError(`${sentenceOf(error)} (started again, the import goes on from here)`)
        }
        await pause(TRY_AGAIN_MS)
      }
    }
  }

  async end(): Promise<void> {
    await this.#client.execute(this.#database, { sql: `DROP TABLE ${NOTES}` })
  }

  #note(number: number): WireStatement {
    const args = [{ type: 'text', value: this.#source }] as const
    return { sql: `INSERT INTO ${NOTES} (unit, source) VALUES (${number}, ?)`, args }
  }

  async #rows(sql: string): Promise<readonly (readonly unknown[])[]> {
    return (await this.#client.execute(this.#database, { sql })).rows
  }
}

/** A statement that was refused will be refused again. */
function isPassing(error: unknown): boolean {
  return !(error instanceof CliError) || error.isPassing
}
