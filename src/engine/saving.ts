import { assert } from '../base/assert.ts'
import type { Log, SnapshotMark } from '../log/log.ts'
import type { Message, Raft, Snapshot } from '../raft/raft.ts'
import type { Applier, ReplicaState } from './ports.ts'

export interface SavingOptions {
  readonly raft: Raft
  readonly log: Log
  readonly applier: Applier
  readonly send: (message: Message) => void
  /** Where a snapshot lies that was received, null if it is not here. */
  readonly generationOf: (snapshot: Snapshot) => number | null
  readonly installed: (state: ReplicaState) => void
  /** Something became durable: the core may go on. */
  readonly changed: () => void
}

/** A batch that the log holds durably. */
interface Saved {
  readonly mark: SnapshotMark | null
  readonly responses: readonly Message[]
}

/**
 * What must be durable before others hear of it. The log completes in order, and only then the
 * messages leave that stand on it, the core's own among them. A snapshot counts once the log names
 * its generation; the databases are switched before anybody is told. Entries behind the snapshot
 * wait for that too: a core that knew them to be stored before it would lose sight of them.
 */
export class Saving {
  readonly #options: SavingOptions
  /** In the log's order; no more than the leader sends without an answer. */
  readonly #saved: Saved[] = []
  #isInstalling = false
  #isClosed = false

  constructor(options: SavingOptions) {
    this.#options = options
  }

  /**
   * `mustSync`: there is something that others may hold this node to, entries or a term or a vote.
   * A commit index alone is found anew after a crash, and the answers that come with it stand on
   * appends before this one, which complete first.
   */
  append(message: Message, mustSync: boolean): void {
    const { term, vote, commit, entries, snapshot, responses } = message
    const hardState = term === 0 ? null : { term, vote, commit }
    const generation = snapshot === null ? null : this.#options.generationOf(snapshot)
    assert(snapshot === null || generation !== null, 'an accepted snapshot was received')
    const mark = snapshot === null || generation === null ? null : { ...snapshot.meta, generation }
    this.#options.log.append({ entries, hardState, snapshot: mark, mustSync }, (error) => {
      // A failed log has told the engine already, through its `fatal`.
      if (error !== null || this.#isClosed) return
      this.#saved.push({ mark, responses })
      this.#next()
    })
  }

  /** Nothing leaves any more. */
  close(): void {
    this.#isClosed = true
  }

  #next(): void {
    while (!this.#isInstalling) {
      const saved = this.#saved.shift()
      if (saved === undefined) return
      if (saved.mark === null) this.#deliver(saved.responses)
      else this.#install(saved.mark, saved.responses)
    }
  }

  #install({ generation, index }: SnapshotMark, responses: readonly Message[]): void {
    const { applier, log, installed } = this.#options
    this.#isInstalling = true
    applier.install(generation, index, (error, state) => {
      if (this.#isClosed) return
      assert(error === null && state !== null, `the snapshot opens: ${error?.message}`)
      applier.deleteOtherGenerations()
      // What stood in the log before the snapshot serves nobody any more.
      log.compact(index, () => {})
      installed(state)
      this.#deliver(responses)
      this.#isInstalling = false
      this.#next()
    })
  }

  #deliver(responses: readonly Message[]): void {
    const { raft, send, changed } = this.#options
    for (const response of responses) {
      if (response.to === raft.id) raft.step(response)
      else send(response)
    }
    changed()
  }
}
