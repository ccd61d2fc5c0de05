import { ColmenaError, isColmenaError } from '../base/errors.ts'
import { type ConnectionSettings, Writer } from '../sqlite/sqlite.ts'
import { DatabaseFile } from './database-file.ts'
import {
  databasePath,
  hasFile,
  isDatabaseName,
  listDatabases,
  removeDatabase,
  SYSTEM,
} from './generation.ts'
import type { ApplyHooks } from './hooks.ts'
import type { StatementWatch } from './statement-watch.ts'
import { SystemFile } from './system-file.ts'
import { isSqliteError, MachineTrouble, troubleOfOpening } from './trouble.ts'

/** All files of one generation, open. */
export interface GenerationFiles {
  readonly system: SystemFile
  readonly files: Map<string, DatabaseFile>
}

/** What a snapshot must turn out to be before it takes the place of this node's files. */
export interface ExpectedSnapshot {
  readonly index: number
}

export type OpenWriter = (path: string, settings: ConnectionSettings) => Writer

/** How writers are opened, and who watches what runs on them. */
export interface WriterSource {
  /** What user statements may do; the same on every member, or they differ. */
  readonly writer?: ConnectionSettings | undefined
  /** Opens writers; tests put failing ones in their place. */
  readonly openWriter?: ((path: string, options: ConnectionSettings) => Writer) | undefined
  readonly watch?: StatementWatch | undefined
  /** What is told and kept for listeners; nothing by default. */
  readonly hooks?: ApplyHooks | undefined
}

/** Opens a generation as a process left it. */
export function openGeneration(path: string, openWriter: OpenWriter): GenerationFiles {
  const system = openSystem(path, openWriter)
  const files = new Map<string, DatabaseFile>()
  try {
    removeDropped(path, system)
    for (const name of liveDatabases(system))
      files.set(name, openLive(path, system, name, openWriter))
    return { system, files }
  } catch (error) {
    closeFiles({ system, files })
    throw error
  }
}

type Announced = ExpectedSnapshot & { readonly clusterId: string }

/**
 * Opens a generation that was received, if it is complete and exactly what was announced; where
 * that is null, whatever is at one index.
 */
export function openReceived(
  path: string,
  openWriter: OpenWriter,
  expected: Announced | null,
): GenerationFiles {
  try {
    return openAnnounced(path, openWriter, expected)
  } catch (error) {
    if (isColmenaError(error) || error instanceof MachineTrouble) throw error
    // Its tables are input: rows that are missing or of another kind are no bug of this node.
    throw wrong(path, `is damaged: ${(error as Error).message}`, error)
  }
}

function openAnnounced(
  path: string,
  openWriter: OpenWriter,
  expected: Announced | null,
): GenerationFiles {
  const system = openSystem(path, openWriter)
  const files = new Map<string, DatabaseFile>()
  const index = expected?.index ?? system.file.applied
  try {
    if (expected !== null && system.clusterId !== expected.clusterId)
      throw wrong(path, 'belongs to another cluster')
    verifyNames(path, system)
    for (const name of liveDatabases(system)) {
      if (!hasFile(databasePath(path, name))) throw wrong(path, `lacks ${name}.db`)
      files.set(name, openLive(path, system, name, openWriter))
    }
    for (const file of files.values()) verifyFile(path, file, system.file.term, index)
    verifyFile(path, system.file, system.file.term, index)
    return { system, files }
  } catch (error) {
    closeFiles({ system, files })
    throw error
  }
}

export function closeFiles({ system, files }: GenerationFiles): void {
  for (const file of [system.file, ...files.values()]) file.close()
}

function openSystem(path: string, openWriter: OpenWriter): SystemFile {
  // It alone is opened before the settings in it are known: no user's statement runs there.
  const writer = openWriter(databasePath(path, SYSTEM), {})
  try {
    return SystemFile.open(writer)
  } catch (error) {
    writer.close()
    throw error
  }
}

/** Opens a database, or makes it where a crash came before its first commit. */
function openLive(
  path: string,
  system: SystemFile,
  name: string,
  openWriter: OpenWriter,
): DatabaseFile {
  const created = system.databases.get(name)?.createdIndex ?? 0
  const sequences = system.savedSequences(name)
  const writer = openWriter(databasePath(path, name), system.settingsOf(name))
  return openOrCreate(name, writer, created, sequences)
}

export function openOrCreate(
  name: string,
  writer: Writer,
  created: number,
  sequences: ReadonlyMap<string, number>,
): DatabaseFile {
  try {
    return DatabaseFile.open(name, writer, { created, applied: created - 1, term: 0, sequences })
  } catch (error) {
    writer.close()
    throw error
  }
}

/** Removes files of databases whose drop is recorded: a crash came before their removal. */
function removeDropped(path: string, system: SystemFile): void {
  for (const name of listDatabases(path)) {
    const dropped = system.databases.get(name)?.droppedIndex ?? null
    if (dropped !== null) removeDatabase(path, name)
  }
}

function liveDatabases(system: SystemFile): readonly string[] {
  return [...system.databases.values()]
    .filter(({ droppedIndex }) => droppedIndex === null)
    .map(({ name }) => name)
}

/** The file that is furthest behind. */
export function lowestOf({ system, files }: GenerationFiles): DatabaseFile {
  let lowest = system.file
  for (const file of files.values()) if (file.applied < lowest.applied) lowest = file
  return lowest
}

/** Forgets origins that retired at or below `durable`: no entry of theirs can come any more. */
export function forgetOrigins({ system, files }: GenerationFiles, durable: number): void {
  const origins = system.originsRetiredUpTo(durable)
  // A file on which a transaction is tried is asked the next time.
  if (origins.length === 0 || [...files.values()].some(({ trial }) => trial !== null)) return
  for (const file of [system.file, ...files.values()]) file.forgetSequences(origins)
  const { file } = system
  try {
    file.begin()
    system.forgetOrigins(origins)
    file.commit(file.applied, file.term)
  } catch (error) {
    system.rollback()
    throw error
  }
}

/** Before one becomes a path that leads elsewhere; a restart removes the files of dropped ones. */
function verifyNames(path: string, system: SystemFile): void {
  for (const name of system.databases.keys()) {
    if (isDatabaseName(name)) continue
    throw wrong(path, `lists ${JSON.stringify(name)}, which is no name of a database`)
  }
}

function verifyFile(path: string, file: DatabaseFile, term: number, index: number): void {
  if (file.applied === index && file.term === term && file.part === null) return
  throw wrong(
    path,
    `has ${file.name} at entry ${file.applied} of term ${file.term}, but entry ${index} of term ` +
      `${term} was announced`,
  )
}

function wrong(path: string, what: string, cause?: unknown): ColmenaError {
  return new ColmenaError('ERR_DATA_DIR', `the received generation ${path} ${what}`, { cause })
}

/** Opens writers so that what keeps one from opening counts as this machine's trouble. */
export function writerOpener(options: WriterSource): OpenWriter {
  const openWriter = options.openWriter ?? ((path, writer) => new Writer(path, writer))
  return (path, settings) => {
    try {
      return openWriter(path, { ...options.writer, ...settings })
    } catch (error) {
      throw isSqliteError(error) ? troubleOfOpening(error, path) : error
    }
  }
}
