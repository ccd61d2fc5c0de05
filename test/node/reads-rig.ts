import type { TestContext } from 'node:test'
import type { ColmenaError } from '../../src/base/errors.ts'
import { type EngineView, SharedState } from '../../src/base/shared-state.ts'
import { Deadlines } from '../../src/node/deadlines.ts'
import type { Consistency } from '../../src/node/node.ts'
import { type AskedRead, type ReadPass, Reads } from '../../src/node/reads.ts'

export const LEADING: EngineView = {
  isLeader: true,
  term: 2,
  leader: 1,
  commit: 10,
  ownTermCommitted: true,
  stampMs: 0,
  applyLagMs: 0,
  isClosed: false,
  epoch: 1,
  leadsUntilMs: 0,
  leadsUntilWallMs: 0,
}

/** Reads of one node, with scripted threads and clocks. */
export class Rig {
  readonly shared: SharedState = new SharedState()
  readonly asked: { id: number; level: string }[] = []
  nowMs = 0
  wallMs = 0
  haltedReason: string | null = null
  readonly reads: Reads

  constructor(t: TestContext, timeoutMs = 60_000) {
    const deadlines = new Deadlines(timeoutMs, () => performance.now())
    t.after(() => deadlines.close())
    this.reads = new Reads({
      shared: this.shared,
      deadlines,
      electionTimeoutMs: 1000,
      nowMs: () => this.nowMs,
      wallMs: () => this.wallMs,
      haltedReason: () => this.haltedReason,
      ask: (id, level) => this.asked.push({ id, level }),
    })
  }

  enter(level: Consistency, signal?: AbortSignal): Promise<void> | null {
    return this.pass(level, { signal }).gate
  }

  pass(level: Consistency, asked: Partial<AskedRead> = {}): ReadPass {
    const pass = this.reads.enter(ask(level, asked))
    // Judged later, when the test looks at it.
    pass.gate?.catch(() => {})
    return pass
  }

  /** What an answer with all that is applied now is worth. */
  leave(pass: ReadPass, level: Consistency, asked: Partial<AskedRead> = {}): ReadPass | null {
    return this.reads.leave(ask(level, asked), pass, this.shared.applied())
  }

  apply(applied: number): void {
    const storage = { generation: 1, databasesEpoch: 1, isDivergent: false, walBytes: 0 }
    this.shared.publishStorage({ applied, ...storage })
    if (this.shared.waitedIndex() <= applied) this.reads.applied(applied)
  }

  answer(at: number, index: number, error: ColmenaError | null = null): void {
    this.reads.answered(this.asked[at]?.id ?? -1, index, error)
  }
}

function ask(level: Consistency, asked: Partial<AskedRead>): AskedRead {
  return { level, after: undefined, maxStalenessMs: undefined, signal: undefined, ...asked }
}

export async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

export async function isSettled(gate: Promise<void> | null): Promise<boolean> {
  // Nothing to wait for: what was not to be settled yet runs at once.
  if (gate === null) return true
  let settled = false
  const note = (): void => {
    settled = true
  }
  gate.then(note, note)
  await turn()
  return settled
}
