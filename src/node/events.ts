import type { Divergence, MemberStatus } from '../engine/engine.ts'
import type { AppliedEvent } from './applied-events.ts'

/** A statement that took long. */
export interface SlowStatement {
  readonly database: string
  /** Its first 1,000 characters. */
  readonly sql: string
  /** In SQLite, without any waiting. */
  readonly durationMs: number
  readonly kind: 'read' | 'write'
  /** The log index of a write; null for a read. */
  readonly index: number | null
}

/** What a node emits. One object per event, so that fields can be added. */
export interface NodeEvents {
  /** The leader or the term changed; `id` is the leader's node id, null while there is none. */
  leader: [event: { readonly id: string | null; readonly term: number }]
  /** A write was applied on this node; told in the order of the log. */
  applied: [event: AppliedEvent]
  /** This node applied the log up to `index`; several steps may be told as one. */
  progress: [event: { readonly index: number }]
  /** Members, their roles or addresses changed. */
  membership: [event: { readonly members: readonly MemberStatus[] }]
  /** Something in the background went wrong and is dealt with; `code` as in `docs/errors.md`. */
  warning: [event: { readonly code: string; readonly message: string }]
  /** A statement took SQLite longer than `slowMs`; a write on each node that applies it. */
  slow: [event: SlowStatement]
  /**
   * Members whose databases are not what the majority of voters has: each takes those of the leader
   * by itself, and serves nothing until then. Without names, voters differ without a majority:
   * writes stop, and `reinstall()` on one of them decides.
   */
  divergence: [event: Divergence]
  /** The end: by `close()`, or because a part of this node failed. */
  closed: [event: { readonly reason: 'requested' | 'failed'; readonly cause?: unknown }]
}

/** Hands an event to whoever listens. */
export type Emit = <Name extends keyof NodeEvents>(name: Name, ...event: NodeEvents[Name]) => void

/** What is called with an event, in the shape of `EventEmitter`. */
export type NodeListener<Name> = Name extends keyof NodeEvents
  ? (...event: NodeEvents[Name]) => void
  : never
