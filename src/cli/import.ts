import { createHash } from 'node:crypto'
import { closeSync, createReadStream, openSync, readSync, statSync } from 'node:fs'
import { basename, extname } from 'node:path'
import type { ApiClient } from './client.ts'
import { CsvSource } from './csv-source.ts'
import { loadDump } from './dump.ts'
import { CliError, usageError } from './failure.ts'
import { openSqliteFile } from './foreign-database.ts'
import type { ImportSource } from './import-source.ts'
import { ImportTarget } from './import-target.ts'
import { Progress } from './progress.ts'
import { SqliteSource } from './sqlite-source.ts'

export interface ImportOptions {
  readonly database: string
  readonly format?: Format
  /** Of a CSV file. */
  readonly table?: string
  /** Of a CSV file. */
  readonly separator?: string
  readonly replace?: boolean
}

type Format = 'sqlite' | 'sql' | 'csv'

/** Brings a file into a database; started again after an end of any kind, it goes on. */
export async function runImport(
  client: ApiClient,
  path: string,
  options: ImportOptions,
): Promise<void> {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) {
    throw new CliError(`there is no file ${path}`)
  }
  const format = options.format ?? guessFormat(path)
  const before = stateOf(path)
  const target = new ImportTarget(client, options.database, await identify(path, options))
  const begun = await target.unitsDone(options.replace)
  const source = await openSource(target, path, format, options, begun !== null)
  try {
    if (stateOf(path) !== before) {
      throw new CliError(
        `${path} is being written: stop what does, or import a copy (sqlite3 ${path} ` +
          `".backup copy.db")`,
      )
    }
    if (begun !== null) {
      process.stderr.write(`going on after ${begun} parts that are there already\n`)
    }
    await send(target, source, begun, () => prepare(target, source, options))
  } finally {
    source.close()
  }
}

/** What an import is told by: the same content into the same place. */
async function identify(path: string, { table = '' }: ImportOptions): Promise<string> {
  const hash = createHash('sha256').update(`${table}\n`)
  for (const each of [path, `${path}-wal`]) {
    // What a writer has left in its write-ahead file is content as well.
    if ((statSync(each, { throwIfNoEntry: false })?.size ?? 0) === 0) continue
    for await (const chunk of createReadStream(each)) hash.update(chunk as Buffer)
  }
  return hash.digest('hex')
}

/** Changes whenever somebody writes. */
function stateOf(path: string): string {
  const files = [path, `${path}-wal`].map((each) => statSync(each, { throwIfNoEntry: false }))
  // An empty write-ahead file comes with whoever reads.
  return files.map((stat) => (stat?.size ? `${stat.size} ${stat.mtimeMs}` : '')).join()
}

async function openSource(
  target: ImportTarget,
  path: string,
  format: Format,
  options: ImportOptions,
  isBegun: boolean,
): Promise<ImportSource> {
  if (format === 'sqlite') return new SqliteSource(path, openSqliteFile(path))
  if (format === 'sql') return new SqliteSource(path, await loadDump(path))
  const separator = separatorOf(options)
  const table = options.table ?? basename(path, extname(path))
  const isThere = options.replace !== true && (await target.existing([table])).length > 0
  if (isThere && options.table === undefined && !isBegun) {
    throw new CliError(
      `there is a table ${table} already: --table ${table} adds to it, --replace drops it first`,
    )
  }
  return new CsvSource({ path, table, hasTable: isThere, separator })
}

function separatorOf({ separator = ',' }: ImportOptions): string {
  const meant = separator === '\\t' ? '\t' : separator
  if (meant.length === 1 && !/["\r\n]/.test(meant)) return meant
  throw usageError(`--separator is '${separator}'; it must be one character, such as ';'`)
}

function guessFormat(path: string): Format {
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
  const existing = await target.existing(source.makes)
  if (existing.length > 0 && options.replace !== true) {
    const names = existing.map(({ name }) => name).join(', ')
    throw new CliError(`there is already: ${names}. --replace drops what the file brings anew`)
  }
  await target.begin(existing)
}

async function send(
  target: ImportTarget,
  source: ImportSource,
  begun: number | null,
  begin: () => Promise<void>,
): Promise<void> {
  const progress = new Progress(source.rows)
  let number = 0
  let rows = 0
  for await (const unit of source.units()) {
    // Only now, so that a file that has no beginning leaves nothing.
    if (number === 0 && begun === null) await begin()
    number += 1
    rows += unit.rows
    // What is there already is read again, as only that tells where the next one begins.
    if (number > (begun ?? 0)) await target.apply(number, unit)
    else progress.skipped(rows)
    progress.update(rows)
  }
  const perSecond = Math.round(progress.end()).toLocaleString('en-US')
  // Before the end, so that an import that is killed now says it when it goes on.
  const looseEnds = await target.looseEnds()
  await target.end()
  process.stdout.write(`${rows.toLocaleString('en-US')} rows are there (${perSecond} rows/s)\n`)
  for (const sentence of source.leftOut) process.stderr.write(`left out: ${sentence}\n`)
  for (const sentence of looseEnds) process.stderr.write(`foreign keys: ${sentence}\n`)
  if (source.leftOut.length > 0) throw new CliError('the rest is there')
  if (looseEnds.length > 0) {
    throw new CliError('all rows are there; PRAGMA foreign_key_check lists those to mend')
  }
}
