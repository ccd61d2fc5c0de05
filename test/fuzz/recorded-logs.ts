/** Logs as a node leaves them, with what was promised of them and where in which file it stands. */
import { HEADER_BYTES } from '../../src/log/format.ts'
import { type LogOptions, openLog, type Recovered } from '../../src/log/log.ts'
import { describeLog, describeState, drawOperation, isPromised } from '../log/model.ts'
import { LogRig, type Outcome } from '../log/rig.ts'
import { SimulatedDisk } from '../simulated/disk.ts'
import { SeededRandom } from '../simulated/random.ts'

export type Files = ReadonlyMap<string, Uint8Array<ArrayBuffer>>

interface Range {
  readonly path: string
  readonly from: number
  readonly to: number
}

export interface RecordedLog {
  readonly files: Files
  /** What the log was after each operation, all of them acknowledged. */
  readonly states: readonly string[]
  /** What each operation wrote; null for one of which even the end is proven. */
  readonly writes: readonly (readonly Range[] | null)[]
}

const OPERATIONS = 24

/** Half of them were opened again on the way: what recovery copied was durable before its name. */
export function recordLog(seed: number): RecordedLog {
  const rig = new LogRig(`fuzz ${seed}`)
  rig.create()
  const states = [describeState(rig.state)]
  const writes: (readonly Range[] | null)[] = [null]
  const reopenedAt = seed % 2 === 0 ? -1 : OPERATIONS - 4
  for (let step = 0; step < OPERATIONS; step += 1) {
    if (step === reopenedAt) {
      rig.disk.kill()
      rig.reopen()
      writes.fill(null)
    }
    const before = filesOf(rig)
    let operation = drawOperation(rig.random, rig.state)
    while (!isPromised(operation)) operation = drawOperation(rig.random, rig.state)
    rig.submit(operation)
    rig.disk.settle()
    states.push(describeState(rig.state))
    writes.push(changesOf(before, filesOf(rig)))
  }
  return { files: filesOf(rig), states, writes }
}

function filesOf(rig: LogRig): Files {
  return new Map(rig.disk.paths.map((path) => [path, new Uint8Array(rig.disk.bytesOf(path))]))
}

function changesOf(before: Files, after: Files): Range[] {
  return [...after].flatMap(([path, bytes]) => {
    const old = before.get(path) ?? new Uint8Array(bytes.length)
    const isNew = (at: number): boolean => bytes[at] !== old[at]
    const from = firstIn(HEADER_BYTES, bytes.length, isNew)
    if (from === bytes.length) return []
    let to = bytes.length
    while (!isNew(to - 1)) to -= 1
    // Records are padded with zeros.
    return [{ path, from, to: Math.ceil(to / 8) * 8 }]
  })
}

function firstIn(from: number, to: number, matches: (at: number) => boolean): number {
  for (let at = from; at < to; at += 1) if (matches(at)) return at
  return to
}

/** Whether any byte of what an operation wrote is another one now, or gone. */
export function isDamaged(ranges: readonly Range[], files: Files, broken: Files): boolean {
  return ranges.some(({ path, from, to }) => {
    const [bytes, found] = [files.get(path), broken.get(path)]
    return firstIn(from, to, (at) => bytes?.[at] !== found?.[at]) < to
  })
}

export interface Opening {
  readonly outcome: Outcome | undefined
  /** What it holds; throws what reading throws. */
  readonly describe: () => string
  readonly settle: () => void
}

/** Opens a log that these files are. */
export function openFiles(files: Files): Opening {
  const disk = new SimulatedDisk({ random: new SeededRandom('fuzz') })
  const settle = (): void => disk.settle()
  disk.makeDirectory('log', () => {})
  for (const [path, bytes] of files) {
    disk.open(path, 'create', (_error, file) => file.write(bytes, 0, { sync: true }, () => {}))
  }
  settle()
  const { options } = new LogRig('options')
  let outcome: Outcome | undefined
  const own: LogOptions = { ...options, disk, random: new SeededRandom('open') }
  openLog(own, (error, recovered) => {
    outcome = error ?? (recovered as Recovered)
  })
  settle()
  const describe = (): string => {
    if (outcome === undefined || outcome instanceof Error) throw new Error('it is not open')
    return describeLog(outcome.log, outcome.hardState, outcome.snapshot, settle)
  }
  return { outcome, describe, settle }
}
