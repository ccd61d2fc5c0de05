import type { DatabaseFile } from './database-file.ts'
import type { HashSource } from './hash-thread.ts'

export interface DatabaseStatus {
  readonly name: string
  readonly createdIndex: number
  readonly appliedIndex: number
  /** Bytes on disk, those waiting in the WAL included. */
  readonly sizeBytes: number
  readonly walBytes: number
  /** A rolling digest of what its commands did; equal on members at equal applied indexes. */
  readonly digest: bigint
}

/** So many databases fit into one small frame; the rest was compared after it was written to. */
const DIGESTS_MAX = 64

/** `applied`: the index that all files have reached. */
export function statusOf(file: DatabaseFile, applied: number): DatabaseStatus {
  return {
    name: file.name,
    createdIndex: file.created,
    appliedIndex: Math.max(file.applied, applied),
    sizeBytes: file.sizeBytes,
    walBytes: file.wal.sizeBytes,
    digest: file.digest.value,
  }
}

/** What tells a database from one of its name that was dropped before. */
export function databaseKey({ name, created }: Pick<DatabaseFile, 'name' | 'created'>): string {
  return `${name}@${created}`
}

/**
 * The digests as they were at `index`, which all files have reached, by {@link databaseKey}: those
 * of the databases that were written to last, as far as they are remembered.
 */
export function digestsAt(
  files: Iterable<DatabaseFile>,
  index: number,
): ReadonlyMap<string, string> {
  const known = [...files].filter(({ created }) => created <= index)
  known.sort((a, b) => b.lastWrite - a.lastWrite)
  const digests = new Map<string, string>()
  for (const file of known.slice(0, DIGESTS_MAX)) {
    const digest = file.digests.at(index)
    if (digest !== null) digests.set(databaseKey(file), BigInt.asUintN(64, digest).toString(16))
  }
  return digests
}

/** What is needed to read them all, by {@link databaseKey}. */
export function hashedDatabases(files: Iterable<DatabaseFile>): HashSource['databases'] {
  const databases = [...files].map((file) => {
    const { name, writer } = file
    // Extensions too: they read the virtual tables that are theirs.
    return [databaseKey(file), { name, settings: writer.settings }] as const
  })
  return new Map(databases)
}
