import type { StorageToUser } from '../database/database.ts'
import type { Emit } from './events.ts'
import type { Hooks } from './hooks.ts'
import type { Outgoing } from './outgoing.ts'
import type { Reads } from './reads.ts'
import type { Requests } from './requests.ts'
import type { SlowStatements } from './slow-statements.ts'

/** Who is told what the storage thread says. */
export interface StorageHearers {
  readonly outgoing: Outgoing
  readonly reads: Reads
  readonly hooks: Hooks
  readonly slow: SlowStatements
  readonly requests: Requests
  readonly emit: Emit
  /** Apply stands still, or with null goes on. */
  readonly halted: (reason: string | null) => void
}

export function hearStorage(message: StorageToUser, to: StorageHearers): void {
  switch (message.kind) {
    case 'results':
    case 'drops':
    case 'endedLeases':
      to.outgoing.heard(message)
      break
    case 'applied':
      to.reads.applied(message.index)
      to.emit('progress', { index: message.index })
      break
    case 'halted':
      to.halted(message.reason)
      break
    case 'slow':
      for (const write of message.writes) to.slow.took({ kind: 'write', ...write })
      break
    case 'warning':
      to.emit('warning', { code: message.code, message: message.message })
      break
    case 'installed':
      to.outgoing.jumpedOver(message.sequences)
      to.reads.applied(message.index)
      break
    case 'status':
      to.requests.answered(message.id, message.status, null)
      break
    case 'listening':
      to.requests.answered(message.id, null, null)
      break
    case 'hooks':
      to.hooks.told(message.news)
  }
}
