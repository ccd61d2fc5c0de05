/** Operations on a replicated log: each write has its index, each read one that it contains. */
import type { Operation } from './operation.ts'

export interface LogWrite<Change> {
  readonly kind: 'write'
  /** One open of a node: what it wrote, it sees. */
  readonly origin: string
  readonly change: Change
}

export interface LogRead {
  readonly kind: 'read'
  readonly origin: string
  /** As asked for. */
  readonly after?: number | undefined
  readonly maxStalenessMs?: number | undefined
}

export type LogInput<Change> = LogWrite<Change> | LogRead

export interface LogWritten {
  readonly index: number
  /** Among the writes of one entry, which are of one origin: 0 without it. */
  readonly at?: number | undefined
  /** What the write answered, for a replay that has outcomes. */
  readonly outcome?: string | undefined
}

export interface LogAnswer {
  /** The answer contains all up to here, and may contain more. */
  readonly index: number
  /** It is of exactly that index. */
  readonly isExact?: boolean | undefined
  /** The level that it was answered at: `weak` for a `lease` that was over. */
  readonly level: 'none' | 'lease' | 'weak' | 'strong'
  /** By question, all on one snapshot. */
  readonly answers: Readonly<Record<string, string>>
  /** When its age was looked at last; without it, nobody knows more than that it was called. */
  readonly answeredMs?: number | undefined
  /**
   * Of `weak`: the least that any node which took itself for the leader, while the read was under
   * way, had committed when the read was called. Without it, the answering leader is not known.
   */
  readonly leaderCommit?: number | undefined
}

export type LogOutput = LogWritten | LogAnswer

export type LogOperation<Change> = Operation<LogInput<Change>, LogOutput>

/** What the log's writes make of a database, and what questions to it answer. */
export interface Replay<State, Change> {
  initial(): State
  /** What the write answers in this state, where that is to be judged. */
  outcome?(state: State, change: Change): string
  /** May change the state that it is given. */
  apply(state: State, change: Change): State
  /** The questions whose answers the change may alter. */
  touches(change: Change): readonly string[]
  /** The same text for the same answer, and for no other. */
  answer(state: State, question: string): string
}

export type LogRule =
  | 'one entry an index'
  | 'order of writes'
  | 'nothing of later'
  | 'answers'
  | 'strong'
  | 'weak'
  | 'lease'
  | 'none'
  | 'after'
  | 'maxStalenessMs'

export interface LogViolation {
  readonly rule: LogRule
  readonly text: string
}
