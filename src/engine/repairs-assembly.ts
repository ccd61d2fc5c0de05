import type { Raft } from '../raft/raft.ts'
import { readReply } from '../transport/transport.ts'
import { Agreement } from './agreement.ts'
import type { CoreParts } from './assembly.ts'
import type { Commands } from './commands.ts'
import type { EngineMix } from './engine-mix.ts'
import type { Membership } from './membership.ts'
import type { ReplicaState } from './ports.ts'
import { decodeSkipStand, encodeHold } from './skip-wire.ts'
import { Skipping } from './skipping.ts'
import { CALLS } from './wire.ts'

export function createAgreement(
  { config, ports, applier, transport, log }: CoreParts,
  core: {
    readonly raft: Raft
    readonly membership: Membership
    readonly mix: EngineMix
    readonly commands: Commands
    reinstalled(state: ReplicaState): void
    schedule(): void
  },
): Agreement {
  const { raft, membership, mix } = core
  return new Agreement({
    raft,
    membership,
    mix,
    config,
    ports,
    applier,
    transport,
    log,
    propose: (bytes) => {
      core.commands.propose(bytes)
      core.schedule()
    },
    installed: (state) => core.reinstalled(state),
    changed: () => core.schedule(),
  })
}

export function createSkipping(
  { config, ports, applier, transport, log, replica }: CoreParts,
  core: { readonly raft: Raft; readonly membership: Membership; schedule(): void },
): Skipping {
  const { raft, membership } = core
  return new Skipping({
    raft,
    log,
    applier,
    clock: ports.clock,
    lastVoid: replica.lastVoid,
    waitMs: config.requestTimeoutMs / 2,
    applied: () => ports.shared.applied(),
    others: () => {
      const others = [...membership.records()].filter(({ memberId }) => memberId !== raft.id)
      return new Map(others.map(({ memberId, nodeId }) => [memberId, nodeId]))
    },
    ownNodeId: config.nodeId,
    ask: (id, hold, done) => {
      const answered = readReply(decodeSkipStand, done)
      const timeoutMs = config.electionTimeoutMs * 2
      transport.call(id, CALLS.skipStand, encodeHold(hold), timeoutMs, answered)
    },
    isConnected: (id) => transport.peers().some((peer) => peer.id === id && peer.isConnected),
    release: (id, hold, done) => {
      const { electionTimeoutMs: timeoutMs } = config
      transport.call(id, CALLS.skipRelease, encodeHold(hold), timeoutMs, (error) => {
        done(error === null)
      })
    },
    schedule: () => core.schedule(),
  })
}
