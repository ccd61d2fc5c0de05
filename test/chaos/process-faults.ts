import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { NodeCalls } from '../processes/protocol.ts'
import { until } from '../processes/wait.ts'
import { inTime } from './in-time.ts'
import type { Preset, Rig, Seat } from './rig.ts'
import type { Fault, LANES } from './schedule.ts'
import { NO_TROUBLE } from './trouble.ts'
import type { Hold } from './wire-faults.ts'

type ProcessKind = (typeof LANES.processes)[number]

/** What faults of processes act on. */
export interface Stage {
  readonly rig: Rig
  readonly folder: string
  readonly hold: Hold
  /** Judges a copy of the databases that a node made. */
  readonly judgeCopy: (path: string, where: string) => void
}

type Run = (stage: Stage, fault: Fault) => Promise<string>

/** What one call of a fault is waited for: the cluster may be cut at the same time. */
const CALL_MS = 10_000
const REMOVAL_MS = 15_000
const LEVEL_MS = 10_000
const MIB = 1024 * 1024
/** Within the time that locks are held for many times: the time in the log never goes back. */
const CLOCK_STEPS_MS = [-30_000, -4_000, 1_500, 7_000, 20_000]
const DISK_DELAYS_MS = [5, 30, 120]
const PRESETS: readonly Preset[] = [
  {},
  { heartbeatMs: 100, electionTimeoutMs: 800, nonDeterminism: 'reject' },
  { heartbeatMs: 40, electionTimeoutMs: 300, slowMs: 50, maxClockSkewMs: 1_000 },
  { snapshotBytesPerSecond: 2 * MIB, logRetainBytes: MIB, transactionIdleMs: 1_000 },
]

/** Each resolves when it is over, with what it did. */
export const PROCESS_FAULTS: Readonly<Record<ProcessKind, Run>> = {
  'kill-one': (stage, fault) => kill(stage, fault, [stage.rig.seat(fault.choice)]),
  'kill-leader': async (stage, fault) => kill(stage, fault, [await leaderOf(stage, fault)]),
  'kill-all': (stage, fault) => kill(stage, fault, stage.rig.seats),
  'pause-one': (stage, fault) => pause(stage, fault, stage.rig.seat(fault.choice)),
  'pause-leader': async (stage, fault) => pause(stage, fault, await leaderOf(stage, fault)),
  stop: async ({ rig, hold }, { choice, forMs }) => {
    const seat = rig.seat(choice)
    await rig.stop(seat)
    await hold(forMs)
    await reopen(rig, seat)
    return rig.name(seat)
  },
  'rolling-restart': async ({ rig }, { choice }) => {
    for (const seat of rig.seats) {
      await rig.stop(seat)
      seat.preset = PRESETS[(choice + seat.at) % PRESETS.length] as Preset
      await reopen(rig, seat)
      await until(
        'it is ready',
        async () => (await rig.ask(seat, 'status'))?.ready,
        LEVEL_MS,
      ).catch(() => {})
    }
    return `with options ${choice % PRESETS.length}`
  },
  transfer: async (stage, fault) => {
    const to = stage.rig.name(stage.rig.seat(fault.choice))
    return `to ${to}: ${await tryCall(await leaderOf(stage, fault), 'transferLeadership', to)}`
  },
  'replace-member': (stage, fault) => replace(stage, stage.rig.seat(fault.choice)),
  demote: async ({ rig, hold }, { choice, forMs }) => {
    const [seat, asked] = [rig.seat(choice), rig.seat(choice + 1)]
    const name = rig.name(seat)
    const demoted = await tryCall(asked, 'changeMember', 'demote', name)
    await hold(forMs)
    return `${name}: ${demoted}; again: ${await tryCall(asked, 'changeMember', 'promote', name)}`
  },
  'clock-step': async ({ rig, hold }, { choice, forMs }) => {
    const seat = rig.seat(choice)
    const clockOffsetMs = CLOCK_STEPS_MS[choice % CLOCK_STEPS_MS.length] as number
    rig.setTrouble(seat, { ...NO_TROUBLE, clockOffsetMs })
    await hold(forMs)
    rig.setTrouble(seat, NO_TROUBLE)
    return `${rig.name(seat)}: ${clockOffsetMs} ms and back`
  },
  'slow-disk': async ({ rig, hold }, { choice, forMs }) => {
    const seat = rig.seat(choice)
    const diskDelayMs = DISK_DELAYS_MS[choice % DISK_DELAYS_MS.length] as number
    rig.setTrouble(seat, { ...NO_TROUBLE, diskDelayMs })
    await hold(forMs)
    rig.setTrouble(seat, NO_TROUBLE)
    return `${rig.name(seat)}: ${diskDelayMs} ms a write`
  },
  'full-disk': async ({ rig, hold }, { choice, forMs }) => {
    const small = rig.seats.filter(({ disk }) => disk !== null)
    const seat = small[choice % Math.max(1, small.length)]
    if (seat === undefined) return 'left out: small disks need the right to mount'
    seat.disk?.fill()
    await hold(forMs)
    seat.disk?.free()
    return rig.name(seat)
  },
  compact: async ({ rig }, { choice }) => {
    const seat = rig.seat(choice)
    return `by ${rig.name(seat)}: ${await tryCall(seat, 'compact')}`
  },
  export: async ({ rig, folder, judgeCopy }, { choice }) => {
    const seat = rig.seat(choice)
    const [path, where] = [join(folder, `copy-${seat.at + 1}.db`), `a copy by ${rig.name(seat)}`]
    rmSync(path, { force: true })
    const what = await tryCall(seat, 'copyTo', path)
    if (what === 'ok') judgeCopy(path, where)
    return `${where}: ${what}`
  },
}

async function kill(
  { rig, hold }: Stage,
  { forMs }: Fault,
  seats: readonly Seat[],
): Promise<string> {
  await Promise.all(seats.map((seat) => rig.kill(seat)))
  await hold(forMs)
  await Promise.all(seats.map((seat) => reopen(rig, seat)))
  return seats.map((seat) => rig.name(seat)).join(', ')
}

async function pause({ rig, hold }: Stage, { forMs }: Fault, seat: Seat): Promise<string> {
  rig.pause(seat)
  await hold(forMs)
  rig.resume(seat)
  return rig.name(seat)
}

/** Where nobody leads any node is as good. */
async function leaderOf({ rig }: Stage, { choice }: Fault): Promise<Seat> {
  return (await rig.leader()) ?? rig.seat(choice)
}

/** The member goes for good, and another one, with nothing of it, comes in its place. */
async function replace({ rig }: Stage, seat: Seat): Promise<string> {
  const [name, asked] = [rig.name(seat), rig.seat(seat.at + 1)]
  seat.isLeaving = true
  const answers: string[] = []
  const isGone = async (): Promise<boolean> => {
    answers.push(await tryCall(asked, 'changeMember', 'remove', name))
    const members = await rig.ask(asked, 'members')
    return members !== null && !members.some(({ nodeId }) => nodeId === name)
  }
  try {
    await until(`${name} is gone`, isGone, REMOVAL_MS)
  } catch {
    // Where it comes to it later, it ends by itself.
    return `${name} was not removed: ${answers.at(-1)}`
  }
  // It may have heard of it, and then a new one is on its way.
  if (seat.isLeaving) {
    seat.isLeaving = false
    await rig.kill(seat)
    rig.renew(seat)
    await reopen(rig, seat)
  }
  return `${name}, now ${rig.name(seat)}`
}

/** What fails here is begun again when all is healed. */
async function reopen(rig: Rig, seat: Seat): Promise<void> {
  if (seat.handle === null) await rig.open(seat).catch(() => {})
}

/** 'ok', or what it failed with. */
async function tryCall<Name extends keyof NodeCalls>(
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
