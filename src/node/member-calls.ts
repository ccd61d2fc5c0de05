import type { MemberChange } from '../engine/engine.ts'
import { checkNodeId, checkSignalOptions, type SignalOptions } from './arguments.ts'
import type { NodeCore } from './node-core.ts'

/** Has the leader agree with the others on what becomes of a member. */
export async function changeMember(
  core: NodeCore,
  change: MemberChange,
  nodeId: string,
  options: SignalOptions,
): Promise<void> {
  const signal = checkSignalOptions(options, change === 'remove' ? 'removeMember' : change)
  checkNodeId(nodeId)
  await core.request({ method: 'changeMember', change, nodeId }, signal)
}
