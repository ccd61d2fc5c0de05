import { broadcastHeartbeat } from './append.ts'
import type { StepResult } from './config.ts'
import type { Core } from './core.ts'
import { createMessage } from './message.ts'
import type { Progress } from './progress.ts'
import type { Message } from './types.ts'

/** Linearizable reads (thesis §6.4): the leader proves that it still is one and names an index. */

/** A read request reaches the leader, its own or one that a follower passed on. */
export function acceptRead(core: Core, request: Message): StepResult {
  if (core.reads.isFull()) return 'dropped'
  // Before that, the commit index may lag behind what an earlier leader acknowledged (etcd #7331),
  // also where that was this very node: a commit index alone is never synced.
  if (!core.hasCommittedInTerm()) {
    core.reads.postpone(request)
    return 'ok'
  }
  if (startRead(core, request)) broadcastHeartbeat(core, core.reads.heartbeatContext())
  return 'ok'
}

/** The first commit of the term is there: the reads that waited for it share one round. */
export function releasePostponedReads(core: Core): void {
  let isRoundNeeded = false
  for (const request of core.reads.takePostponed()) {
    if (startRead(core, request)) isRoundNeeded = true
  }
  if (isRoundNeeded) broadcastHeartbeat(core, core.reads.heartbeatContext())
}

/** True if the read now waits for a round of heartbeats. */
function startRead(core: Core, request: Message): boolean {
  const { committed } = core.log
  if (core.tracker.isSingleton()) {
    answerRead(core, request, committed)
    return false
  }
  // A transfer target campaigns past everyone's lease, so the lease proves nothing any more.
  if (core.config.readOnly === 'lease' && !core.leaseRevoked) {
    answerRead(core, request, committed)
    return false
  }
  core.reads.add(request, committed)
  const own = core.tracker.get(core.id)
  if (own !== undefined) own.readsAcked = core.reads.acceptedCount
  return true
}

/** A member echoed a heartbeat's counter. */
export function acceptReadEcho(core: Core, member: Progress, context: Uint8Array): void {
  if (context.length === 0) return
  member.readsAcked = Math.max(member.readsAcked, core.reads.decodeEcho(context))
  confirmReads(core)
}

/** Answers what a quorum of the configuration of this moment has confirmed. */
export function confirmReads(core: Core): void {
  if (!core.reads.hasWaiting()) return
  for (const { request, index } of core.reads.takeConfirmed(core.tracker.readsConfirmed())) {
    answerRead(core, request, index)
  }
}

function answerRead(core: Core, request: Message, index: number): void {
  if (request.from === core.id) {
    core.readStates.push({ index, context: request.entries[0]!.data })
    return
  }
  const response = createMessage('readIndexResponse', core.id, request.from)
  response.term = core.term
  response.index = index
  response.entries = request.entries
  core.send(response)
}
