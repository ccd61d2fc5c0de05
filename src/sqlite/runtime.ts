import { createHash } from 'node:crypto'
import type * as Sqlite from 'node:sqlite'
import { ColmenaError } from '../base/errors.ts'
import { type NamedExtension, withExtensions } from '../base/fingerprint.ts'

/** node:sqlite's exports: imported as a type only, since a static import fails on old runtimes. */
export type SqliteModule = typeof Sqlite

/** What {@link requireSqlite} looks at; tests put an old runtime in its place. */
export interface RuntimeProbe {
  readonly version: string
  readonly loadModule: () => SqliteModule | undefined
}

/**
 * Every option of DatabaseSync, spelled out: its defaults have changed within one release line, and
 * two nodes that differ in one of them answer the same statement differently. Part of the engine's
 * fingerprint. `openDatabase` adds those that differ between databases or connections.
 */
export const DATABASE_OPTIONS: Readonly<
  Required<
    Omit<Sqlite.DatabaseSyncOptions, 'limits' | 'readOnly' | 'enableDoubleQuotedStringLiterals'>
  >
> = Object.freeze({
  open: true,
  enableForeignKeyConstraints: true,
  // Overridden, and shut again, where `open` was given extensions.
  allowExtension: false,
  // A writer that finds the file busy must say so at once: its thread has other work.
  timeout: 0,
  readBigInts: true,
  returnArrays: true,
  allowBareNamedParameters: true,
  allowUnknownNamedParameters: false,
  defensive: true,
})

/** SQLite's run-time limits. */
export type DatabaseLimits = Readonly<Partial<Sqlite.DatabaseLimits>>

/**
 * The limits that a cluster begins with, and keeps: it has them in its system database, so that a
 * release with others here joins it without answering differently.
 */
export const DATABASE_LIMITS: Required<DatabaseLimits> = Object.freeze({
  // The longest string of V8's: of a longer text Node.js would say that it is undefined.
  length: 536_870_888,
  sqlLength: 536_870_888,
  column: 2000,
  exprDepth: 1000,
  compoundSelect: 500,
  vdbeOp: 250_000_000,
  functionArg: 1000,
  // No user may attach; VACUUM needs one for itself.
  attach: 1,
  likePatternLength: 50_000,
  variableNumber: 32_766,
  triggerDepth: 1000,
})

const thisRuntime: RuntimeProbe = {
  version: process.version,
  loadModule: () => process.getBuiltinModule?.('node:sqlite') as SqliteModule | undefined,
}

let loaded: SqliteModule | undefined

/**
 * node:sqlite, after a check that this Node.js has all that Colmena needs of it: the authorizer,
 * sessions, limits, the defensive flag, `isTransaction` and `backup`.
 *
 * @throws ColmenaError ERR_UNSUPPORTED_RUNTIME with what is missing and what to do.
 */
export function requireSqlite(probe: RuntimeProbe = thisRuntime): SqliteModule {
  if (probe === thisRuntime && loaded !== undefined) return loaded
  const module = loadSqlite(probe)
  const missing = missingCapability(module)
  if (missing !== undefined) throw unsupported(probe, `its node:sqlite has no ${missing}`)
  if (probe === thisRuntime) loaded = module
  return module
}

function loadSqlite(probe: RuntimeProbe): SqliteModule {
  let module: SqliteModule | undefined
  let cause: unknown
  try {
    module = probe.loadModule()
  } catch (error) {
    cause = error
  }
  if (module === undefined) throw unsupported(probe, 'it has no node:sqlite', cause)
  return module
}

function missingCapability(module: SqliteModule): string | undefined {
  if (typeof module.backup !== 'function') return 'backup()'
  let db: Sqlite.DatabaseSync | undefined
  try {
    db = new module.DatabaseSync(':memory:', { ...DATABASE_OPTIONS, limits: DATABASE_LIMITS })
    if (typeof db.setAuthorizer !== 'function') return 'setAuthorizer()'
    if (typeof db.createSession !== 'function') return 'createSession()'
    if (db.limits?.attach !== DATABASE_LIMITS.attach) return 'limits'
    if (db.isTransaction !== false) return 'isTransaction'
    return missingDefence(db)
  } catch (error) {
    return `working DatabaseSync (${(error as Error).message})`
  } finally {
    db?.close()
  }
}

/** Without the defensive flag, writes to shadow tables succeed here and fail elsewhere. */
function missingDefence(db: Sqlite.DatabaseSync): string | undefined {
  db.exec('CREATE VIRTUAL TABLE probe USING fts5(body)')
  try {
    db.exec('DELETE FROM probe_data')
  } catch {
    return undefined
  }
  return 'defensive flag'
}

function unsupported(probe: RuntimeProbe, why: string, cause?: unknown): ColmenaError {
  return new ColmenaError(
    'ERR_UNSUPPORTED_RUNTIME',
    `Colmena can't run on Node.js ${probe.version}, because ${why}: use the newest Node.js 24, ` +
      'or a later release line',
    { cause },
  )
}

let fingerprint: string | undefined

/**
 * What decides the answers of this engine, in one line: SQLite's source id, a hash of its compile
 * options, a hash of ours, platform, processor and C library, and the extensions by the words of
 * whoever gave them. Members with equal fingerprints compute the same bytes from the same
 * statements.
 */
export function engineFingerprint(extensions: readonly NamedExtension[] = []): string {
  fingerprint ??= computeFingerprint()
  return withExtensions(fingerprint, extensions)
}

function computeFingerprint(): string {
  const db = new (requireSqlite().DatabaseSync)(':memory:', { returnArrays: true })
  try {
    const [sourceId] = db.prepare('SELECT sqlite_source_id()').get() as unknown as [string]
    const options = db.prepare('PRAGMA compile_options').all() as unknown as [string][]
    const compiled = shortHash(options.map(([option]) => option).sort())
    const own = shortHash(DATABASE_OPTIONS)
    const sqlite = `sqlite ${sourceId.replaceAll(' ', '_')} compiled ${compiled} own ${own}`
    return `${sqlite} ${process.platform} ${process.arch} ${libcName()}`
  } finally {
    db.close()
  }
}

function shortHash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16)
}

function libcName(): string {
  if (process.platform !== 'linux') return 'libc-of-the-system'
  const version = readReport().header?.['glibcVersionRuntime']
  return typeof version === 'string' ? `glibc-${version}` : 'musl'
}

function readReport(): { readonly header?: Readonly<Record<string, unknown>> } {
  // What @types/node doesn't know of yet.
  const report = process.report as typeof process.report & { excludeNetwork: boolean }
  const { excludeNetwork } = report
  // Else it asks DNS for the name of whoever has a connection to this process, one after the other,
  // and the whole process waits.
  report.excludeNetwork = true
  try {
    return report.getReport()
  } finally {
    report.excludeNetwork = excludeNetwork
  }
}
