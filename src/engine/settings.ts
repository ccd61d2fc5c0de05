import type { Random } from '../base/ports.ts'
import { COMMAND_FORMAT, COMMAND_FORMAT_MIN, type MemberRecord } from '../command/command.ts'
import type { LogOptions } from '../log/log.ts'
import type { RaftConfig, RaftStorage } from '../raft/raft.ts'
import type { Identity } from '../transport/transport.ts'
import type { EnginePorts } from './ports.ts'
import type { EngineConfig } from './protocol.ts'

const MIB = 1024 * 1024

/** The oldest and the newest format that this node reads. */
export const FORMATS: { readonly formatMin: number; readonly formatMax: number } = {
  formatMin: COMMAND_FORMAT_MIN,
  formatMax: COMMAND_FORMAT,
}

/** Ticks are half a heartbeat: fine enough that two followers rarely draw the same time-out. */
export const TICKS_PER_HEARTBEAT = 2

/** An entry that takes longer to apply is reported, in milliseconds. */
export const APPLY_MS_MAX = 5_000

/** So many members must say so before a removed node deletes what it holds. */
export const REMOVAL_CONFIRMATIONS = 3

/** The consensus core's settings, out of the node's. */
export function raftConfig(
  config: EngineConfig,
  storage: RaftStorage,
  appliedIndex: number,
  random: Random,
): RaftConfig {
  const tickMs = config.heartbeatMs / TICKS_PER_HEARTBEAT
  return {
    id: config.memberId,
    storage,
    appliedIndex,
    electionTicks: Math.max(TICKS_PER_HEARTBEAT + 1, Math.round(config.electionTimeoutMs / tickMs)),
    heartbeatTicks: TICKS_PER_HEARTBEAT,
    asyncStorageWrites: true,
    messageBytesMax: 1 * MIB,
    committedBytesMax: 4 * MIB,
    uncommittedBytesMax: 64 * MIB,
    inflightMessagesMax: 256,
    inflightBytesMax: 16 * MIB,
    pendingReadsMax: 4_096,
    checkQuorum: true,
    preVote: true,
    readOnly: 'safe',
    // Commands are forwarded by their origin, which knows when to send them again.
    disableProposalForwarding: true,
    disableConfChangeValidation: false,
    stepDownOnRemoval: true,
    random: (boundExclusive) => Math.floor((random.u32() / 0x1_0000_0000) * boundExclusive),
  }
}

/** Who this node is to those it meets; before it is a member of any cluster, nobody. */
export function identityOf(
  config: EngineConfig,
  bootNonce: Uint8Array,
  isNobody: boolean,
): Identity {
  const { clusterId, memberId, nodeId, advertise, incarnation, fingerprint } = config
  return {
    clusterId: isNobody ? new Uint8Array(16) : Buffer.from(clusterId, 'hex'),
    memberId: isNobody ? 0 : memberId,
    nodeId,
    address: advertise,
    bootNonce,
    incarnation,
    ...FORMATS,
    fingerprint,
  }
}

/** What this node asks its cluster to know it as. */
export function recordOf({ memberId, nodeId, advertise, joinAs }: EngineConfig): MemberRecord {
  return { memberId, nodeId, address: advertise, wantedRole: joinAs }
}

/** Of this node's log. */
export function logOptionsOf(
  { clusterId, memberId, segmentBytes, durability }: EngineConfig,
  { disk, random, clock }: EnginePorts,
  calls: Pick<LogOptions, 'fatal' | 'spaceChanged'>,
): LogOptions {
  const member = { clusterId: Buffer.from(clusterId, 'hex'), memberId }
  return { disk, directory: 'log', ...member, segmentBytes, durability, random, clock, ...calls }
}

/** Where port 0 let the system choose, peers are told what it chose. */
export function withBoundPort(config: EngineConfig, port: number): EngineConfig {
  const { advertise } = config
  if (!advertise.endsWith(':0')) return config
  return { ...config, advertise: `${advertise.slice(0, -1)}${port}` }
}

/** 16 random bytes, in hexadecimal digits. */
export function randomClusterId(random: Random): string {
  const words = Array.from({ length: 4 }, () => random.u32().toString(16).padStart(8, '0'))
  return words.join('')
}

/** 48 random bits, never 0, which stands for no member. */
export function randomMemberId(random: Random): number {
  return (random.u32() % 0x1_0000) * 0x1_0000_0000 + Math.max(1, random.u32())
}
