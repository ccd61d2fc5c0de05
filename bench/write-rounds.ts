/** A load of writers on some members, measured in rounds that begin alike on all of them. */
import { monotonicMs, pause } from './clock.ts'
import { median, percentile } from './figures.ts'
import type { MemberHandle } from './member-handle.ts'
import type { Recording, Written } from './protocol.ts'

export interface WriteFigures {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface RoundsOptions {
  readonly writers: number
  readonly warmUpMs: number
  readonly rounds: number
  readonly roundMs: number
  /** @defaultValue 'item' */
  readonly what?: Written
}

/** The first writer is on the first member, the second on the second, and so on around. */
export async function measureWrites(
  members: readonly MemberHandle[],
  { writers, warmUpMs, rounds, roundMs, what }: RoundsOptions,
): Promise<WriteFigures[]> {
  await startWriters(members, writers, what)
  await pause(warmUpMs)
  const startMs = monotonicMs()
  await pause(rounds * roundMs)
  const recordings = await stopWriters(members)
  return Array.from({ length: rounds }, (_, round) =>
    sumUp(recordings, startMs + round * roundMs, startMs + (round + 1) * roundMs),
  )
}

export async function startWriters(
  members: readonly MemberHandle[],
  writers: number,
  what?: Written,
): Promise<void> {
  const share = (at: number): number => Math.ceil((writers - at) / members.length)
  await Promise.all(members.map((member, at) => member.call('startWrites', share(at), what)))
}

export function stopWriters(members: readonly MemberHandle[]): Promise<Recording[]> {
  return Promise.all(members.map((member) => member.call('stopWrites')))
}

/** What was answered between two moments. */
export function sumUp(
  recordings: readonly Recording[],
  fromMs: number,
  toMs: number,
): WriteFigures {
  const latenciesMs: number[] = []
  for (const { endsMs, latenciesMs: all } of recordings) {
    for (let at = 0; at < endsMs.length; at += 1) {
      const endMs = endsMs[at] as number
      if (endMs >= fromMs && endMs < toMs) latenciesMs.push(all[at] as number)
    }
  }
  return {
    perSecond: (latenciesMs.length * 1_000) / (toMs - fromMs),
    p50Ms: percentile(latenciesMs, 50),
    p99Ms: percentile(latenciesMs, 99),
  }
}

/** Each figure's median over the rounds. */
export function medianOf(rounds: readonly WriteFigures[]): WriteFigures {
  return {
    perSecond: median(rounds.map(({ perSecond }) => perSecond)),
    p50Ms: median(rounds.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(rounds.map(({ p99Ms }) => p99Ms)),
  }
}
