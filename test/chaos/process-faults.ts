import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../processes/wait.ts'
import { type Struck, tryCall } from './acting.ts'
import { replaceMember, wipeMember } from './member-faults.ts'
import { choosePreset } from './presets.ts'
import type { Rig, Seat } from './rig.ts'
import type { Fault, LANES } from './schedule.ts'
import { NO_TROUBLE, type Trouble, type TroubleKind } from './trouble.ts'
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

type Run = (stage: Stage, fault: Fault) => Promise<Struck>

const LEVEL_MS = 10_000
/** Within the time that locks are held for many times: the time in the log never goes back. */
const CLOCK_STEPS_MS = [-30_000, -4_000, 1_500, 7_000, 20_000]
const DISK_DELAYS_MS = [5, 30, 120]
/** What a node says of a disk that is full. */
const FULL = new Set(['ERR_DISK_FULL', 'ERR_APPLY_HALTED', 'ERR_COMPACTION', 'ERR_SNAPSHOT'])

/** Each resolves when it is over. */
export const PROCESS_FAULTS: Readonly<Record<ProcessKind, Run>> = {
  'kill-one': (stage, fault) => kill(stage, fault, [stage.rig.seat(fault.choice)]),
  'kill-leader': async (stage, fault) => kill(stage, fault, [await leaderOf(stage, fault)]),
  'kill-all': (stage, fault) => kill(stage, fault, stage.rig.seats),
  'pause-one': (stage, fault) => pause(stage, fault, stage.rig.seat(fault.choice)),
  'pause-leader': async (stage, fault) => pause(stage, fault, await leaderOf(stage, fault)),
  stop: async ({ rig, hold }, { choice, forMs }) => {
    const seat = rig.seat(choice)
    const wasOpen = seat.isOpen
    await rig.holdDown([seat], async () => {
      await rig.stop(seat)
      await hold(forMs)
    })
    return { what: rig.name(seat), strikes: Number(wasOpen) }
  },
  'rolling-restart': restartAll,
  transfer: async (stage, fault) => {
    const to = stage.rig.name(stage.rig.seat(fault.choice))
    const answer = await tryCall(await leaderOf(stage, fault), 'transferLeadership', to)
    return { what: `to ${to}: ${answer}`, strikes: Number(answer === 'ok') }
  },
  'replace-member': ({ rig }, { choice }) => replaceMember(rig, rig.seat(choice), choice),
  'wipe-member': ({ rig }, { choice }) => wipeMember(rig, rig.seat(choice)),
  demote: async ({ rig, hold }, { choice, forMs }) => {
    const [seat, asked] = [rig.seat(choice), rig.seat(choice + 1)]
    const name = rig.name(seat)
    if (!(await rig.canSpare())) return { what: `${name} is needed`, strikes: 0 }
    const demoted = await tryCall(asked, 'changeMember', 'demote', name)
    await hold(forMs)
    const promoted = await tryCall(asked, 'changeMember', 'promote', name)
    return { what: `${name}: ${demoted}; again: ${promoted}`, strikes: Number(demoted === 'ok') }
  },
  'clock-step': (stage, fault) => {
    const clockOffsetMs = CLOCK_STEPS_MS[fault.choice % CLOCK_STEPS_MS.length] as number
    const trouble = { ...NO_TROUBLE, clockOffsetMs }
    return afflict(stage, fault, trouble, 'clockOffsetMs', `${clockOffsetMs} ms and back`)
  },
  'slow-disk': (stage, fault) => {
    const diskDelayMs = DISK_DELAYS_MS[fault.choice % DISK_DELAYS_MS.length] as number
    const trouble = { ...NO_TROUBLE, diskDelayMs }
    return afflict(stage, fault, trouble, 'diskDelayMs', `${diskDelayMs} ms a write`)
  },
  'full-disk': async ({ rig, hold }, { choice, forMs }) => {
    const small = rig.seats.filter(({ disk }) => disk !== null)
    const seat = small[choice % Math.max(1, small.length)]
    if (seat === undefined) {
      return { what: 'left out: small disks need the right to mount', strikes: 0 }
    }
    const told = (): number =>
      seat.handle?.eventsOf('warning').filter(({ code }) => FULL.has(code)).length ?? 0
    const before = told()
    seat.disk?.fill()
    await hold(forMs)
    seat.disk?.free()
    return { what: rig.name(seat), strikes: told() - before }
  },
  compact: async ({ rig }, { choice }) => {
    const seat = rig.seat(choice)
    const answer = await tryCall(seat, 'compact')
    return { what: `by ${rig.name(seat)}: ${answer}`, strikes: Number(answer === 'ok') }
  },
  export: async ({ rig, folder, judgeCopy }, { choice }) => {
    const seat = rig.seat(choice)
    const [path, where] = [join(folder, `copy-${seat.at + 1}.db`), `a copy by ${rig.name(seat)}`]
    rmSync(path, { force: true })
    const answer = await tryCall(seat, 'copyTo', path)
    if (answer === 'ok') judgeCopy(path, where)
    return { what: `${where}: ${answer}`, strikes: Number(answer === 'ok') }
  },
}

async function kill(
  { rig, hold }: Stage,
  { forMs }: Fault,
  seats: readonly Seat[],
): Promise<Struck> {
  const canForget = seats.every((seat) => !rig.isRelaxed(seat)) || (await rig.allVote())
  const killed = seats.filter((seat) => canForget || !rig.isRelaxed(seat))
  const strikes = killed.filter(({ handle }) => handle !== null).length
  await rig.holdDown(killed, async () => {
    await Promise.all(killed.map((seat) => rig.kill(seat)))
    await hold(forMs)
  })
  return { what: killed.map((seat) => rig.name(seat)).join(', '), strikes }
}

async function pause({ rig, hold }: Stage, { forMs }: Fault, seat: Seat): Promise<Struck> {
  const isStruck = rig.pause(seat)
  await hold(forMs)
  rig.resume(seat)
  return { what: rig.name(seat), strikes: Number(isStruck) }
}

/** One after the other, each with other options than before. */
async function restartAll({ rig }: Stage, { choice }: Fault): Promise<Struck> {
  const names: string[] = []
  let strikes = 0
  for (const seat of rig.seats) {
    // Whoever is on its way in is left to it, with the options that it has.
    if (!seat.isOpen) continue
    const { name, preset } = await choosePreset(rig, seat, choice)
    await rig.holdDown([seat], async () => {
      if (await rig.stop(seat)) seat.preset = preset
    })
    names.push(name)
    strikes += 1
    const isReady = async (): Promise<boolean> => (await rig.ask(seat, 'status'))?.ready === true
    await until('it is ready', isReady, LEVEL_MS).catch(() => {})
  }
  return { what: `with options ${names.join(', ')}`, strikes }
}

/** A trouble that a node's process brings on itself, for a while. */
async function afflict(
  { rig, hold }: Stage,
  { choice, forMs }: Fault,
  trouble: Trouble,
  kind: TroubleKind,
  text: string,
): Promise<Struck> {
  const seat = rig.seat(choice)
  const before = rig.strikes(seat, kind)
  rig.setTrouble(seat, trouble)
  await hold(forMs)
  rig.setTrouble(seat, NO_TROUBLE)
  return { what: `${rig.name(seat)}: ${text}`, strikes: rig.strikes(seat, kind) - before }
}

/** Where nobody leads any node is as good. */
async function leaderOf({ rig }: Stage, { choice }: Fault): Promise<Seat> {
  return (await rig.leader()) ?? rig.seat(choice)
}
