import { MemberHandle } from '../member-handle.ts'
import type { Peer } from '../peers/servers.ts'
import type { GroupContext } from './group.ts'
import { measureEnqueues, measureQueue } from './jobs.ts'

const PROCESSES = 3

/** The same work as Colmena's jobs get, by a queue with a server of its own beside. */
export async function measurePeer(peer: Peer, { stage, report }: GroupContext): Promise<void> {
  const server = await peer.start(peer.program() as string)
  try {
    const members = Array.from({ length: PROCESSES }, () => new MemberHandle(stage.program))
    const place = { kind: peer.kind, port: server.port }
    for (const member of members) await member.call('openQueue', place)
    await measureEnqueues(members, `jobs.${peer.name}`, report, false)
    await measureQueue(members, `jobs.${peer.name}`, report)
    await Promise.all(members.map((member) => member.kill()))
  } finally {
    await server.end()
  }
}
