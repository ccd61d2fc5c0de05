import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts'
import type { MemberRecord } from '../command/command.ts'
import type { ConfState, Entry, EntryType } from '../raft/types.ts'
import type { ConnectionSettings } from '../sqlite/sqlite.ts'
import type { ApplyMetrics } from './apply-metrics.ts'
import type { DatabaseStatus } from './file-status.ts'
import type { Hold } from './generation.ts'
import type { AskedHooks, HookNews } from './hooks.ts'
import type { DropAnswer, OwnSequence } from './outcome.ts'
import type { SlowWrite } from './statement-watch.ts'
import type { Genesis } from './system-file.ts'
import type { TrialRequest } from './trials.ts'
import type { Failure, Quarantine } from './trouble.ts'
import type { WalBounds } from './wal-bounds.ts'

/**
 * What the storage thread hears and says. The engine talks on a port of its own, the user thread
 * on the worker's. Entries and results travel as bytes, one array per message, transferred.
 */

export interface StorageSettings {
  /** Holds `db/<generation>/` and `snapshot/`. */
  readonly dataDir: string
  readonly generation: number
  /** Makes the generation first, as a cluster begins; null opens what is there. */
  readonly genesis: Genesis | null
  readonly memberId: number
  /** The origin of this open, whose results are wanted: 32 hexadecimal digits. */
  readonly ownOrigin: string
  readonly writer?: ConnectionSettings | undefined
  /** Statements that take longer are told. */
  readonly slowMs: number
  /** What a database that keeps its changed rows keeps of them. */
  readonly changesBytesMax?: number | undefined
  /** Milliseconds between two tries of a group that this machine could not apply; 1000. */
  readonly retryPauseMs?: number | undefined
  readonly walBounds?: WalBounds | undefined
}

/** The storage worker's `workerData`. */
export interface StorageWorkerData extends StorageSettings {
  readonly shared: SharedArrayBuffer
  readonly enginePort: import('node:worker_threads').MessagePort
}

/** What the databases hold when they are opened, or after a snapshot took their place. */
export interface ReplicaState {
  /** The lowest and the highest applied index of any database. */
  readonly applied: number
  readonly highestApplied: number
  readonly confState: ConfState
  readonly confIndex: number
  readonly members: readonly MemberRecord[]
  /** This member's current origin, '' for none. */
  readonly origin: string
  /** What each member runs SQL with, as its open told the cluster. */
  readonly fingerprints: ReadonlyMap<number, string>
  /** The newest format that commands in the log may have. */
  readonly format: number
  /** The last entry that all members skipped, as none could apply it; 0 for none. */
  readonly lastVoid: number
  /** What the databases have of this node's own origin. */
  readonly sequences: readonly OwnSequence[]
}

/** What applying up to `applied` did that concerns the engine. */
export interface AppliedReport {
  readonly applied: number
  readonly sequences: readonly OwnSequence[]
  /** This member's current origin where it changed, else null. */
  readonly origin: string | null
  /** As in {@link ReplicaState}, where they may have changed, else null. */
  readonly fingerprints: ReadonlyMap<number, string> | null
  readonly format: number
  /** The last configuration change, null where there was none. */
  readonly confIndex: number | null
  readonly members: readonly MemberRecord[] | null
}

/** A consistent copy of all databases at one index. */
export interface SnapshotCopy {
  readonly index: number
  readonly term: number
  readonly confState: ConfState
  /** The time of the latest entry that was given one; 0 before. */
  readonly clockMs: number
  readonly digests: ReadonlyMap<string, string>
  readonly files: readonly {
    readonly name: string
    readonly sizeBytes: number
    readonly sha256: Uint8Array
  }[]
}

/** The content of all databases at one index, as it was asked for under `key`. */
export interface HashedContent {
  readonly key: string
  readonly index: number
  /** SHA-256 by database, hexadecimal; null where `error` says why not. */
  readonly hashes: ReadonlyMap<string, string> | null
  readonly error: string | null
}

export type EngineToStorage =
  /** `committedMs`: when the engine learned that they are, on the process's own clock. */
  | { readonly kind: 'apply'; readonly entries: Uint8Array; readonly committedMs: number }
  /** `directory` is relative to the data directory. */
  | { readonly kind: 'copySnapshot'; readonly id: number; readonly directory: string }
  | { readonly kind: 'removeSnapshot'; readonly directory: string }
  | {
      readonly kind: 'install'
      readonly id: number
      readonly generation: number
      readonly index: number
    }
  | { readonly kind: 'deleteOtherGenerations' }
  | { readonly kind: 'makeDurable'; readonly id: number; readonly index: number }
  /** A step of a transaction that this node, as the leader, tries; answered with bytes. */
  | ({ readonly kind: 'tryStatements'; readonly id: number } & TrialRequest)
  | { readonly kind: 'endTrial'; readonly database: string; readonly key: string }
  /** What the digests were at an index that is applied: answered before what waits for apply. */
  | { readonly kind: 'digests'; readonly id: number; readonly index: number }
  /** The files differ from the other members'. */
  | { readonly kind: 'diverge'; readonly reason: string }
  /** The entry that names `key` is to be followed by a hash of all content, told as `hashed`. */
  | { readonly kind: 'expectHash'; readonly key: string }
  /** The cluster has agreed that the write at that index does nothing. */
  | { readonly kind: 'void'; readonly index: number }
  /** If apply stands still at that entry, it is not tried again until void or released. */
  | { readonly kind: 'hold'; readonly id: number; readonly hold: Hold }
  | { readonly kind: 'release'; readonly hold: Hold }
  | { readonly kind: 'close'; readonly id: number }

export type StorageToEngine =
  | { readonly kind: 'opened'; readonly state: ReplicaState }
  | { readonly kind: 'applied'; readonly report: AppliedReport }
  /** Apply stands still and is tried again; null: it goes on. */
  | {
      readonly kind: 'halted'
      readonly reason: string | null
      readonly isDivergent: boolean
      readonly quarantine: Quarantine | null
    }
  | { readonly kind: 'hashed'; readonly hashed: HashedContent }
  | {
      readonly kind: 'reply'
      readonly id: number
      readonly error: Failure | null
      readonly value: unknown
    }

/** What the storage thread knows of its files and its work. */
export interface StorageStatus {
  readonly databases: readonly DatabaseStatus[]
  /** The time of the latest entry that was given one; 0 before. */
  readonly clockMs: number
  readonly apply: ApplyMetrics
}

export type UserToStorage =
  | { readonly kind: 'status'; readonly id: number }
  /** What listeners want from here on, in place of what was asked before. */
  | { readonly kind: 'listen'; readonly id: number; readonly asked: AskedHooks }
  /** The listeners have the last `hooks`. */
  | { readonly kind: 'hooksTaken' }

export type StorageToUser =
  /** Answers to own commands, as {@link decodeResults} reads them. */
  | { readonly kind: 'results'; readonly bytes: Uint8Array }
  | { readonly kind: 'drops'; readonly drops: readonly DropAnswer[] }
  /** By whomever held: who waits may ask again. */
  | { readonly kind: 'endedLeases'; readonly names: readonly string[] }
  /** The index that `SharedState.waitedIndex` asked for is applied. */
  | { readonly kind: 'applied'; readonly index: number }
  | { readonly kind: 'halted'; readonly reason: string | null }
  /** Write statements that took longer than `slowMs`. */
  | { readonly kind: 'slow'; readonly writes: readonly SlowWrite[] }
  /** As the node's event of that name. */
  | { readonly kind: 'warning'; readonly code: string; readonly message: string }
  /** A snapshot took the place of the files: answers to own commands up to there are lost. */
  | {
      readonly kind: 'installed'
      readonly index: number
      readonly sequences: readonly OwnSequence[]
    }
  | { readonly kind: 'status'; readonly id: number; readonly status: StorageStatus }
  /** `listen` counts from here on. */
  | { readonly kind: 'listening'; readonly id: number }
  /** For listeners; the next one leaves after `hooksTaken`. */
  | { readonly kind: 'hooks'; readonly news: HookNews }

// Numbers of the entry types on this wire, which never leaves the process.
const ENTRY_TYPES: readonly EntryType[] = ['normal', 'confChange', 'confChangeV2']
const ENTRY_BYTES_MIN = 21

/** Entries as one array of bytes, whose buffer can be transferred. */
export function encodeEntries(entries: readonly Entry[]): Uint8Array<ArrayBuffer> {
  let sizeBytes = 4
  for (const { data } of entries) sizeBytes += ENTRY_BYTES_MIN + data.length
  const writer = new ByteWriter(sizeBytes).u32(entries.length)
  for (const { index, term, type, data } of entries) {
    writer.u53(index).u53(term).u8(ENTRY_TYPES.indexOf(type)).blob(data)
  }
  return writer.finish()
}

/** The entries, their data as views of `bytes`. @throws DecodeError */
export function decodeEntries(bytes: Uint8Array): Entry[] {
  const reader = new ByteReader(bytes)
  const entries: Entry[] = []
  for (let left = reader.count(ENTRY_BYTES_MIN); left > 0; left -= 1) {
    const index = reader.u53()
    const term = reader.u53()
    const type = ENTRY_TYPES[reader.u8()]
    if (type === undefined) throw new DecodeError(`entry ${index} has an unknown type`)
    entries.push({ index, term, type, data: reader.blob() })
  }
  reader.end()
  return entries
}

/** The answer to an own command on its way to the user, with moments of `processNowMs`. */
export interface TimedResult {
  /** `decodeCommandResult` reads it. */
  readonly bytes: Uint8Array
  readonly committedMs: number
  readonly appliedMs: number
}

const RESULT_BYTES_MIN = 20

/** Results as one array of bytes, whose buffer can be transferred. */
export function encodeResults(results: readonly TimedResult[]): Uint8Array<ArrayBuffer> {
  let sizeBytes = 4
  for (const { bytes } of results) sizeBytes += RESULT_BYTES_MIN + bytes.length
  const writer = new ByteWriter(sizeBytes).u32(results.length)
  for (const { bytes, committedMs, appliedMs } of results) {
    writer.f64(committedMs).f64(appliedMs).blob(bytes)
  }
  return writer.finish()
}

/** The results, their bytes as views of `bytes`. */
export function decodeResults(bytes: Uint8Array): TimedResult[] {
  const reader = new ByteReader(bytes)
  const results: TimedResult[] = []
  for (let left = reader.count(RESULT_BYTES_MIN); left > 0; left -= 1) {
    const committedMs = reader.f64()
    const appliedMs = reader.f64()
    results.push({ bytes: reader.blob(), committedMs, appliedMs })
  }
  reader.end()
  return results
}
