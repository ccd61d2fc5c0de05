import type { Reader, UnitChange } from '../sqlite/sqlite.ts'
import { decodeChanges, entryOf, firstIdAfter } from './feed.ts'

const SELECT_STATE = 'SELECT created, applied, last_write, changes_since FROM _colmena_state'
const SELECT_CHANGES = 'SELECT id, bytes FROM _colmena_changes WHERE id >= ? ORDER BY id'
const SELECT_TABLES =
  'SELECT name, type, ' +
  '(SELECT count(*) FROM pragma_table_xinfo(l.name) WHERE pk > 0), ' +
  '(SELECT count(*) FROM pragma_table_xinfo(l.name) WHERE pk > 0 AND "notnull" = 0), ' +
  "(SELECT count(*) FROM pragma_index_list(l.name) WHERE origin = 'pk') " +
  "FROM pragma_table_list AS l WHERE schema = 'main' AND type IN ('table', 'virtual') " +
  "AND name NOT GLOB '_colmena_*' AND name NOT GLOB 'sqlite_*'"
/** A page ends with the entry that reaches it. */
const PAGE_BYTES_MAX = 1024 * 1024

/** What the units of one entry did to a database. */
export interface EntryChanges {
  readonly index: number
  readonly changes: readonly UnitChange[]
}

/** The feed of a database after some index, as far as it goes into one page. */
export interface FeedPage {
  readonly entries: readonly EntryChanges[]
  /** Everything up to here is in this page or was before it. */
  readonly upTo: number
  readonly isLast: boolean
}

/** What a database's file says of its feed. */
export interface FeedState {
  readonly createdIndex: number
  readonly appliedIndex: number
  /** Entries after it are whole in the feed, once there are some. */
  readonly since: number
}

/** A page, or null where the feed does not go back to `after`. */
export interface FeedRead {
  readonly state: FeedState
  readonly page: FeedPage | null
}

/**
 * What a database did after `after`; 0 is its beginning. Null where there is no such database.
 */
export function readFeed(reader: Reader, after: number): FeedRead | null {
  if (reader.path === ':memory:') return null
  return reader.internal(() => {
    reader.pin()
    try {
      const state = readState(reader)
      const from = after === 0 ? state.createdIndex - 1 : after
      return { state, page: from < state.since ? null : readPage(reader, state, from) }
    } finally {
      reader.unpin()
    }
  })
}

function readState(reader: Reader): FeedState {
  const row = reader.own(SELECT_STATE).get() as unknown as [bigint, bigint, bigint, bigint | null]
  const [created, applied, lastWrite, since] = row
  return {
    createdIndex: Number(created),
    appliedIndex: Number(applied),
    // While nothing is kept, the next write begins the feed, and those before are in none.
    since: Number(since ?? (lastWrite > created - 1n ? lastWrite : created - 1n)),
  }
}

function readPage(reader: Reader, { appliedIndex }: FeedState, after: number): FeedPage {
  const entries: { index: number; changes: UnitChange[] }[] = []
  let sizeBytes = 0
  const rows = reader.own(SELECT_CHANGES).iterate(firstIdAfter(after))
  for (const row of rows as unknown as Iterable<[bigint, Uint8Array]>) {
    const [id, bytes] = row
    const index = entryOf(id)
    // Of an entry that is applied in parts, the others are still to come.
    if (index > appliedIndex) break
    const last = entries.at(-1)
    if (last?.index !== index && sizeBytes > PAGE_BYTES_MAX) {
      return { entries, upTo: last?.index ?? after, isLast: false }
    }
    sizeBytes += bytes.length
    const changes = decodeChanges(bytes)
    if (last?.index === index) last.changes.push(...changes)
    else entries.push({ index, changes: [...changes] })
  }
  return { entries, upTo: Math.max(after, appliedIndex), isLast: true }
}

/** Tables of users by their names in lower case, and whether every change of them can be told. */
export function readTellable(reader: Reader): ReadonlyMap<string, boolean> {
  if (reader.path === ':memory:') return new Map()
  return reader.internal(() => {
    const rows = reader.own(SELECT_TABLES).all() as unknown as TableRow[]
    return new Map(
      rows.map(([name, type, keys, nullable, indexes]) => {
        // A key that has no index is the rowid, which is never NULL whatever its column says.
        const isWhole = keys > 0n && (nullable === 0n || indexes === 0n)
        return [name.toLowerCase(), type === 'table' && isWhole]
      }),
    )
  })
}

type TableRow = [name: string, type: string, keys: bigint, nullable: bigint, indexes: bigint]
