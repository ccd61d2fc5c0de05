import type { Consistency } from './consistency.ts'
import type { NodeCore } from './node-core.ts'
import type { AskedRead, ReadPass } from './reads.ts'
import type { Replicated } from './result-set.ts'

/** Where a read's answer comes from. */
export interface ReadOrigin {
  /** The answer contains it. */
  readonly index: number
  readonly level: Consistency
}

/** A read as it is called. */
export interface ReadWork<T> {
  /** Keeps what the caller may change, since something is waited for first; perhaps twice. */
  readonly keep: () => void
  /** Perhaps twice as well. */
  readonly read: (origin: ReadOrigin) => T | Promise<T>
}

/**
 * Runs a read once what its level demands is true, and anew at a level that asks where that has
 * ended meanwhile. One that need not wait is done when this returns: a promise costs as much as a
 * small statement.
 */
export function passRead<T>(core: NodeCore, asked: AskedRead, work: ReadWork<T>): T | Promise<T> {
  core.calls.readBegan(asked.level)
  return follow(core, asked, work, core.reads.enter(asked))
}

function follow<T>(
  core: NodeCore,
  asked: AskedRead,
  work: ReadWork<T>,
  pass: ReadPass,
): T | Promise<T> {
  if (pass.gate !== null) {
    work.keep()
    return pass.gate.then(() => follow(core, asked, work, { ...pass, gate: null }))
  }
  const index = core.shared.applied()
  const leave = (answer: T): T | Promise<T> => {
    const again = core.reads.leave(asked, pass, index)
    return again === null ? answer : follow(core, asked, work, again)
  }
  const answer = work.read({ index, level: pass.level })
  return answer instanceof Promise ? answer.then(leave) : leave(answer)
}

/** Waits until what a read's level demands is true, for work that takes longer than any lease. */
export async function enterRead(core: NodeCore, asked: AskedRead): Promise<void> {
  core.calls.readBegan(asked.level)
  await core.reads.enter(asked).gate
}

/** Waits until this node has applied what the leader had committed, and tells how far it came. */
export async function catchUp(core: NodeCore, asked: AskedRead): Promise<Replicated> {
  const before = core.shared.applied()
  await enterRead(core, { ...asked, level: asked.level === 'strong' ? 'strong' : 'weak' })
  const frameNo = core.shared.applied()
  return { frame_no: frameNo, frames_synced: frameNo - before }
}
