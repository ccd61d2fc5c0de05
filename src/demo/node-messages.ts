/** What the demo's supervisor and the process of a node say to each other, over any wire. */
import type { OpenOptions } from '../index.ts'
import type { LevelFigure } from './protocol.ts'

/** Ids are looked up so many at a time. */
export const LOOKED_UP_IDS = 1_024
/** A few at a time: one write that removes very many would hold up the ones behind it. */
export const PRUNED_ROWS = 2_048

/** What a node's process can be asked for; each call is answered once, or with its error. */
export interface NodeCalls {
  /** Makes the table where it is missing. */
  makeTable(): void
  /** The last id in this node's file, 0 if there is none; null where there is no table. */
  lastId(): number | null
  /** How often each of the {@link LOOKED_UP_IDS} ids from `from` on is in this node's file. */
  lookUp(from: number): Found
  /**
   * A write that changes nothing. The log keeps the order of one node's writes, also over a
   * restart: at the index that this answers, every earlier write through the node is decided.
   */
  barrier(): number
  /** Removes rows of ids before `below`, on all nodes, {@link PRUNED_ROWS} at most: how many. */
  prune(below: number): number
  stepDown(): void
  measureLevels(): readonly LevelFigure[]
}

export interface Found {
  /** What was looked at contains at least this. */
  readonly appliedIndex: number
  /** By id, from 0 to 255. */
  readonly counts: Uint8Array
}

/** A write on its way to a node. */
export type WriteOrder = readonly [id: number, text: string]

/** What became of a write, as the node that was asked answered. */
export interface WriteFate {
  readonly id: number
  readonly outcome: 'acknowledged' | 'not-applied' | 'unknown'
  readonly index: number | null
  readonly term: number | null
  /** Since the node received it. */
  readonly committedMs: number | null
  readonly appliedMs: number | null
  readonly error: string | null
}

/** What a node tells of itself, four times a second. */
export interface NodeReport {
  readonly role: 'leader' | 'follower' | 'candidate'
  readonly isLearner: boolean
  readonly term: number
  readonly leaderId: string | null
  readonly lastIndex: number
  readonly commitIndex: number
  readonly appliedIndex: number
  readonly memoryBytes: number
  /** When its process began. */
  readonly startedAt: number
  /** The position of the last write in the table: what it grows by was applied meanwhile. */
  readonly lastRow: number
  /** Why it applies nothing; null if it does. */
  readonly haltedReason: string | null
}

export type ToNode =
  /** The first, to a process that has no node yet. */
  | { readonly kind: 'open'; readonly options: OpenOptions }
  | { readonly kind: 'write'; readonly writes: readonly WriteOrder[] }
  | {
      readonly kind: 'call'
      readonly id: number
      readonly method: keyof NodeCalls
      readonly args: readonly unknown[]
    }
  /** To a machine: ends its process as a power cut would. */
  | { readonly kind: 'kill' }

export type FromNode =
  /** The node is open. */
  | { readonly kind: 'opened' }
  | { readonly kind: 'not-opened'; readonly error: NodeFailure }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly error: NodeFailure }
  | { readonly kind: 'fates'; readonly fates: readonly WriteFate[] }
  | { readonly kind: 'report'; readonly report: NodeReport }
  | { readonly kind: 'leader'; readonly leaderId: string | null; readonly term: number }
  | { readonly kind: 'applied'; readonly index: number }

/** An error as it crosses processes. */
export interface NodeFailure {
  readonly code: string
  readonly message: string
  readonly retryable: boolean
}
