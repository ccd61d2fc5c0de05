/**
 * What the demo's server and its page say to each other. Types only: the page is built with them.
 * Times are milliseconds since 1970 unless they are durations.
 */

/** What a card shows; `story` is what happens there, in one line of plain words. */
export interface NodeCard {
  readonly id: string
  readonly role: 'leader' | 'follower' | 'candidate' | 'learner' | 'gone'
  /** Whether the process runs, and whether its links to the others are whole. */
  readonly isRunning: boolean
  readonly isCutOff: boolean
  readonly term: number
  /** The node that this one takes for the leader. */
  readonly leaderId: string | null
  readonly commitIndex: number
  readonly appliedIndex: number
  /** The last index of the leader's log, as far as anybody knows: the right end of the bar. */
  readonly targetIndex: number
  readonly lagEntries: number
  readonly lagMs: number
  readonly startedAt: number | null
  readonly memoryBytes: number
  /** Writes applied in each of the last 60 seconds, the oldest first. */
  readonly appliedPerSecond: readonly number[]
  readonly story: string
}

/**
 * One write, as its row shows it; durations count from when a node received it, `everywhereMs` from
 * when it was sent there until all had told that they applied it.
 */
export interface WriteRow {
  readonly kind: 'write'
  readonly key: number
  readonly at: number
  readonly text: string
  readonly receivedBy: string
  /** null until it is known. */
  readonly appliedBy: string | null
  readonly index: number | null
  readonly term: number | null
  readonly committedMs: number | null
  readonly appliedMs: number | null
  /** null while a node has still to apply it. */
  readonly everywhereMs: number | null
  readonly outcome: 'pending' | 'acknowledged' | 'not-applied' | 'unknown'
  /** What went wrong, in one sentence. */
  readonly error: string | null
}

/** A fault, an election or a recovery, in words. */
export interface EventRow {
  readonly kind: 'event'
  readonly key: number
  readonly at: number
  readonly text: string
}

export type LogRow = WriteRow | EventRow

/** The running sum: the product. */
export interface Tally {
  readonly acknowledged: number
  /** Of those, found on each node that must have them. */
  readonly everywhere: number
  readonly lost: number
  readonly duplicated: number
  /** The longest time between two acknowledged writes while some were asked for. */
  readonly longestPauseMs: number
}

/** One second of the chart. */
export interface ChartPoint {
  readonly at: number
  readonly writesPerSecond: number
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  /** Faults of that second, in the words of their rows. */
  readonly faults: readonly string[]
}

export interface Controls {
  /** 0 to 500. */
  readonly ratePerSecond: number
  /** 0: no node is broken by itself. */
  readonly breakEverySeconds: number
  readonly isPaused: boolean
}

/** A state of the whole cluster that the page explains above all else; null if all is well. */
export interface Notice {
  readonly title: string
  readonly text: string
}

/** Latency of one level, measured here and now on a follower; null where it needs a leader. */
export interface LevelFigure {
  readonly level: 'none' | 'lease' | 'weak' | 'strong'
  readonly p50Ms: number | null
}

export interface DemoState {
  /** Where the nodes run: of machines the links can't be cut. */
  readonly site: 'processes' | 'machines'
  readonly nodes: readonly NodeCard[]
  readonly tally: Tally
  readonly controls: Controls
  readonly notice: Notice | null
  readonly levels: readonly LevelFigure[]
}

/** `GET /api/events`, server-sent events: the name, and what its data is. */
export interface DemoEvents {
  /** Once for each connection, before all else. Rows newest first, points oldest first. */
  readonly hello: {
    readonly state: DemoState
    readonly rows: readonly LogRow[]
    readonly points: readonly ChartPoint[]
  }
  /** Four times a second. */
  readonly state: DemoState
  /** New or changed rows, by their key; several together. */
  readonly rows: readonly LogRow[]
  readonly point: ChartPoint
  /** Everything was begun anew: `hello` follows. */
  readonly reset: null
}

/**
 * What the page may post; the answer is 204, or 4xx with {@link DemoError}. Other origins and hosts
 * are refused.
 *
 * - `POST /api/write` {@link WriteRequest}
 * - `POST /api/nodes/<id>/restart`, `cut`, `join`, `step-down`: no body
 * - `POST /api/controls` any of {@link Controls}
 * - `POST /api/reset`: no body
 */
export interface WriteRequest {
  /** At most 200 characters; shown as text. A made-up one if it is missing. */
  readonly text?: string
  /** A node's id; any if it is missing. */
  readonly node?: string
}

export interface DemoError {
  readonly error: { readonly code: string; readonly message: string; readonly retryable: boolean }
}

/** `GET /api/bench`: the last figures of `npm run bench`. */
export interface BenchFigures {
  readonly machine: string
  readonly date: string
  readonly commit: string
  /** By the bench's ids, such as `write.cluster.32.perSecond`. */
  readonly figures: Readonly<Record<string, number>>
}
