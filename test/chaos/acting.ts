/** What faults of nodes have in common. */
import type { NodeCalls } from '../processes/protocol.ts'
import { inTime } from './in-time.ts'
import type { Seat } from './rig.ts'

/** What a fault did, in words, and how often it did something to a node: 0 where it missed. */
export interface Struck {
  readonly what: string
  readonly strikes: number
}

/** What one call of a fault is waited for: the cluster may be cut at the same time. */
const CALL_MS = 10_000

/** 'ok', or what it failed with. */
export async function tryCall<Name extends keyof NodeCalls>(
  seat: Seat,
  method: Name,
  ...args: Parameters<NodeCalls[Name]>
): Promise<string> {
  if (seat.handle === null) return 'that node is down'
  try {
    await inTime(CALL_MS, seat.handle.call(method, ...args))
    return 'ok'
  } catch (error) {
    return (error as { readonly code?: string }).code ?? (error as Error).message
  }
}
