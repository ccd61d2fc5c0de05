import { assert } from '../base/assert.ts'
import { ColmenaError } from '../base/errors.ts'
import type { Clock } from '../base/ports.ts'
import type { Log, SnapshotMark } from '../log/log.ts'
import { type MemberId, NO_MEMBER, type Raft } from '../raft/raft.ts'
import type { Applier, ReplicaState } from './ports.ts'

export interface ReinstallOptions {
  readonly raft: Pick<Raft, 'role' | 'leader' | 'commit'>
  readonly log: Pick<Log, 'append' | 'firstIndex' | 'lastIndex' | 'term'>
  readonly applier: Pick<Applier, 'install' | 'deleteOtherGenerations'>
  readonly clock: Clock
  readonly askAgainMs: number
  readonly applied: () => number
  /** Asks the leader for a copy of its databases, at an index no lower than this one. */
  readonly ask: (leader: MemberId, index: number) => void
  readonly installed: (state: ReplicaState) => void
  /** Something became durable: the core may go on. */
  readonly changed: () => void
}

/**
 * Puts the leader's databases in the place of files that differ from it. The log is as good as
 * ever, so consensus never hears of it: the copy stands at an index of this very log, which then
 * names the copy's generation, and applying goes on behind it.
 */
export class Reinstall {
  readonly #options: ReinstallOptions
  #isWanted = false
  #askedMs = Number.NEGATIVE_INFINITY
  /** A copy that is here, whole and durable. */
  #arrived: SnapshotMark | null = null
  #isInstalling = false
  /** Since the start. */
  count = 0

  constructor(options: ReinstallOptions) {
    this.#options = options
  }

  /** The files are known to differ, or are none of those any more. */
  want(isWanted: boolean): void {
    this.#isWanted = isWanted
    if (!isWanted) this.#arrived = null
  }

  /** Whether a copy at `index` could take the place of the files. */
  takes(index: number): boolean {
    return this.#isWanted && !this.#isInstalling && index >= this.#options.applied()
  }

  /**
   * A copy was received. False if this node's log does not reach it: then it is an ordinary
   * snapshot, which brings both.
   */
  arrived(mark: SnapshotMark): boolean {
    const { log } = this.#options
    const isInLog = mark.index <= log.lastIndex && log.term(mark.index) === mark.term
    if (!this.takes(mark.index) || !isInLog) return false
    this.#arrived = mark
    this.#install()
    return true
  }

  tick(): void {
    const { raft, clock, askAgainMs, applied, ask } = this.#options
    this.#install()
    if (!this.#isWanted || this.#arrived !== null || this.#isInstalling) return
    // A leader hands over before anything else.
    if (raft.role === 'leader' || raft.leader === NO_MEMBER) return
    if (clock.nowMs() - this.#askedMs < askAgainMs) return
    this.#askedMs = clock.nowMs()
    ask(raft.leader, applied())
  }

  #install(): void {
    const { raft, log, applier, installed, changed } = this.#options
    const mark = this.#arrived
    // Applied implies committed, also after a crash that comes right behind the mark.
    if (mark === null || raft.commit < mark.index) return
    this.#arrived = null
    // A snapshot that consensus asked for came first.
    if (mark.index + 1 < log.firstIndex) return
    this.#isInstalling = true
    log.append({ entries: [], hardState: null, snapshot: mark, mustSync: true }, (error) => {
      // A failed log has told the engine already, through its `fatal`.
      if (error !== null) return
      applier.install(mark.generation, mark.index, (failure, state) => {
        if (failure instanceof ColmenaError && failure.code === 'ERR_CLOSED') return
        assert(failure === null && state !== null, `the copy opens: ${failure?.message}`)
        this.#isInstalling = false
        this.count += 1
        applier.deleteOtherGenerations()
        installed(state)
        changed()
      })
    })
  }
}
