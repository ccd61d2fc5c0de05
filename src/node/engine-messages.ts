import type { EngineToUser } from '../engine/engine.ts'
import type { Emit } from './events.ts'
import { optionalError } from './failures.ts'
import type { LeaderWatch } from './leader-watch.ts'
import type { Outgoing } from './outgoing.ts'
import type { Reads } from './reads.ts'
import type { Requests } from './requests.ts'

/** Who hears what the engine answers and tells while a node is open. */
export interface EngineHearers {
  readonly reads: Reads
  readonly leaders: LeaderWatch
  readonly outgoing: Outgoing
  readonly requests: Requests
  readonly emit: Emit
}

/** False for what concerns the node itself: its beginning, its end, its state. */
export function hearEngine(message: EngineToUser, hearers: EngineHearers): boolean {
  const { reads, leaders, outgoing, requests, emit } = hearers
  switch (message.kind) {
    case 'readAnswer':
      reads.answered(message.id, message.index, optionalError(message.error))
      return true
    case 'rejected':
    case 'dropRejected':
    case 'commitRejected':
    case 'handle':
      outgoing.heard(message)
      return true
    case 'reply':
      requests.answered(message.id, message.value, optionalError(message.error))
      return true
    case 'leader':
      leaders.leaderChanged(message.nodeId, message.term)
      return true
    case 'membership':
      leaders.membersChanged(message.members)
      emit('membership', { members: message.members })
      return true
    case 'warning':
      emit('warning', { code: message.code, message: message.message })
      return true
    case 'divergence':
      emit('divergence', message.divergence)
      return true
    default:
      return false
  }
}
