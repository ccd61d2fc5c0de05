import type { Core } from './core.ts'
import { payloadsSizeBytes } from './entry-size.ts'
import type { Progress } from './progress.ts'
import type { Entry, EntryType } from './types.ts'

/** The leader's side of replication: what goes into its log and out to the members. */

/** An entry before it has a place in the log. */
export interface Proposal {
  readonly type: EntryType
  readonly data: Uint8Array
}

/** Appends to the leader's own log; false if that would exceed the bound of uncommitted bytes. */
export function appendProposals(core: Core, proposals: readonly Proposal[]): boolean {
  let index = core.log.lastIndex()
  let sizeBytes = 0
  const { term } = core
  const entries: Entry[] = []
  for (const { type, data } of proposals) {
    index++
    sizeBytes += data.length
    entries.push({ index, term, type, data })
  }
  // Into an empty tail anything fits, so that one large proposal can pass at all; and empty
  // entries always do, as a new leader's first entry and leaving a joint configuration must.
  const used = core.uncommittedBytes
  if (used > 0 && sizeBytes > 0 && used + sizeBytes > core.config.uncommittedBytesMax) {
    core.note('warn', 'proposalOverQuota', core.id)
    return false
  }
  core.uncommittedBytes += sizeBytes
  core.log.append(entries)
  trackConfChanges(core, entries)
  // The leader acknowledges to itself like any member: once the entries are durable.
  const ack = core.draft('appendResponse', core.id)
  ack.index = index
  core.sendAfterAppend(ack)
  return true
}

/** Remembers where configuration changes are, so that a campaign need not search for them. */
export function trackConfChanges(core: Core, entries: readonly Entry[]): void {
  for (const { type, index } of entries) if (type !== 'normal') core.confIndexes.push(index)
}

/** Forgets configuration changes at `from` and beyond: they are being replaced. */
export function dropConfIndexes(core: Core, from: number): void {
  const { confIndexes } = core
  while (confIndexes.length > 0 && confIndexes.at(-1)! >= from) confIndexes.pop()
  core.unscannedLast = Math.min(core.unscannedLast, from - 1)
}

/** Frees what these applied entries held of the quota; never below zero after a new term. */
export function releaseQuota(core: Core, entries: readonly Entry[]): void {
  core.uncommittedBytes = Math.max(core.uncommittedBytes - payloadsSizeBytes(entries), 0)
}

/** Sends entries, or at least the commit index, unless the member's flow is paused. */
export function sendAppend(core: Core, member: Progress): void {
  maybeSendAppend(core, member, true)
}

/** True if a message was sent. Without `evenIfEmpty` only entries are worth a message. */
export function maybeSendAppend(core: Core, member: Progress, evenIfEmpty: boolean): boolean {
  if (member.isPaused()) return false
  const { log } = core
  const anchor = member.next - 1
  const anchorTerm = log.term(anchor)
  if (anchorTerm < 0) return maybeSendSnapshot(core, member)

  let entries: readonly Entry[] = []
  // With a full window only an empty message goes out (and then only when a heartbeat response
  // unpaused the flow): should everything in the window be lost, its answer gets us going again.
  if (member.state !== 'replicate' || !member.inflights.isFull()) {
    const answer = log.entriesFrom(member.next, core.config.messageBytesMax)
    if (answer === 'compacted') return maybeSendSnapshot(core, member)
    if (answer === 'unavailable') {
      member.fetchPending = true
      return false
    }
    entries = answer
  }
  member.fetchPending = false
  if (entries.length === 0 && !evenIfEmpty) return false

  const message = core.draft('append', member.id)
  message.index = anchor
  message.logTerm = anchorTerm
  message.entries = entries
  message.commit = log.committed
  core.send(message)
  member.recordSentEntries(entries.length, payloadsSizeBytes(entries))
  member.recordSentCommit(log.committed)
  return true
}

function maybeSendSnapshot(core: Core, member: Progress): boolean {
  const { log } = core
  if (!member.recentActive) {
    core.note('debug', 'snapshotSkippedInactive', member.id)
    return false
  }
  const snapshot = log.unstable.snapshot ?? log.storage.snapshot()
  if (snapshot === 'unavailable' || snapshot.meta.index === 0) {
    core.note('debug', 'snapshotUnavailable', core.id, member.id)
    return false
  }
  const { index, term } = snapshot.meta
  const first = log.firstIndex()
  core.note('debug', 'snapshotSent', core.id, first, log.committed, index, term, member.id, member)
  member.becomeSnapshot(index)
  core.note('debug', 'replicationPaused', core.id, member.id, member)
  const message = core.draft('snapshot', member.id)
  message.snapshot = snapshot
  core.send(message)
  return true
}

/** Appends to all members in ascending order of id. */
export function broadcastAppend(core: Core): void {
  for (const member of core.tracker.members) {
    if (member.id !== core.id) sendAppend(core, member)
  }
}

/**
 * Heartbeats carry the commit index only as far as the member's log is known to match: beyond
 * that it may hold other entries (paper §5.3).
 */
export function broadcastHeartbeat(core: Core, context: Uint8Array): void {
  for (const member of core.tracker.members) {
    if (member.id === core.id) continue
    const message = core.draft('heartbeat', member.id)
    message.commit = Math.min(member.match, core.log.committed)
    message.context = context
    core.send(message)
    member.recordSentCommit(message.commit)
  }
}

/** Moves the commit index to what a quorum has; true if it moved. */
export function maybeCommit(core: Core): boolean {
  return core.log.commitByCount(core.tracker.committedIndex(), core.term)
}

/** Fills a member's window with whatever there is to send. */
export function fillWindow(core: Core, member: Progress): void {
  while (maybeSendAppend(core, member, false));
}
