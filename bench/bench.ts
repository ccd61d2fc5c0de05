/**
 * The bench: one table of figures, ours beside what SQLite and the file system do alone on the
 * same machine in the same run. Promises that every process it starts is ended, that every part
 * ends in a bounded time, and that a row which could not be measured is named.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, platform, totalmem } from 'node:os'
import { measureFailoverGroup } from './groups/failover.ts'
import type { GroupContext } from './groups/group.ts'
import { measureMemoryGroup } from './groups/memory.ts'
import { measureReadGroup } from './groups/read.ts'
import { measureRestartGroup } from './groups/restart.ts'
import { measureSnapshotGroup } from './groups/snapshot.ts'
import { measureWriteGroup } from './groups/write.ts'
import { endAllMembers } from './member-handle.ts'
import { printProfile } from './profile.ts'
import type { ProfiledThread } from './protocol.ts'
import {
  describeTarget,
  formatFigure,
  GROUPS,
  type Group,
  groupOf,
  meetsTarget,
  ROWS,
  type Row,
} from './rows.ts'
import { Stage } from './stage.ts'

const GROUP_TIMEOUT_MS = 300_000
const PARTS: Readonly<Record<Group, (context: GroupContext) => Promise<void>>> = {
  write: measureWriteGroup,
  read: measureReadGroup,
  failover: measureFailoverGroup,
  restart: measureRestartGroup,
  memory: measureMemoryGroup,
  snapshot: measureSnapshotGroup,
}

export interface BenchOptions {
  readonly groups: readonly Group[]
  readonly jsonPath: string | null
}

/** Resolves with the exit status: 1 if a row is missing. */
export async function runBench({ groups, jsonPath }: BenchOptions): Promise<number> {
  const startedMs = performance.now()
  const values = new Map<string, number>()
  printHead()
  for (const group of GROUPS) {
    if (groups.includes(group)) await runPart(group, values)
  }
  print(`\nload average at the end ${formatLoad()}`)
  print(`${((performance.now() - startedMs) / 1_000).toFixed(0)} s`)
  if (jsonPath !== null) {
    writeFileSync(jsonPath, `${JSON.stringify(Object.fromEntries(values), null, 2)}\n`)
  }
  return printEnd(groups, values)
}

/** Profiles one thread of a cluster under load. */
export async function runProfile(thread: ProfiledThread): Promise<number> {
  await withStage((stage) => printProfile(stage, thread, print))
  return 0
}

async function runPart(group: Group, values: Map<string, number>): Promise<void> {
  const report = (id: string, value: number): void => {
    const row = ROWS.find((known) => known.id === id)
    if (row === undefined) throw new Error(`the table has no row ${id}`)
    values.set(id, value)
    printRow(row, value, values)
  }
  try {
    await withStage((stage) => PARTS[group]({ stage, report }))
  } catch (error) {
    print(`${group}: FAILED: ${error instanceof Error ? error.stack : String(error)}`)
  }
}

/** Whatever the work does, or however long: afterwards nothing of it runs or is on the disk. */
async function withStage(work: (stage: Stage) => Promise<void>): Promise<void> {
  const stage = new Stage()
  const remove = (): void => stage.remove()
  process.on('exit', remove)
  const overdue = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    overdue.reject(new Error(`it did not end within ${GROUP_TIMEOUT_MS / 1_000} s`))
  }, GROUP_TIMEOUT_MS)
  try {
    await Promise.race([work(stage), overdue.promise])
  } finally {
    clearTimeout(timer)
    await endAllMembers()
    remove()
    process.off('exit', remove)
  }
}

function printHead(): void {
  const [cpu] = cpus()
  const gib = Math.round(totalmem() / 2 ** 30)
  const cores = `${availableParallelism()} x ${cpu?.model.trim() ?? 'unknown'}`
  print(`commit ${describeCommit()}, ${new Date().toISOString().slice(0, 10)}`)
  print(`Node.js ${process.versions.node}, ${platform()}, ${cores}, ${gib} GiB`)
  print(`load average at the start ${formatLoad()}\n`)
  print(formatCells('row', 'figure', '', 'target', 'to raw', 'what'))
}

function printRow(row: Row, value: number, values: ReadonlyMap<string, number>): void {
  const target = describeTarget(row, values) ?? '(unknown)'
  const mark = meetsTarget(row, value, values) ? '' : ' MISSED'
  const raw = row.raw === undefined ? undefined : values.get(row.raw)
  const ratio = raw === undefined ? '' : `x ${formatFigure(value / raw)}`
  print(formatCells(row.id, formatFigure(value), row.unit, target + mark, ratio, row.title))
}

function formatCells(
  id: string,
  figure: string,
  unit: string,
  target: string,
  ratio: string,
  title: string,
): string {
  const left = `${id.padEnd(30)} ${figure.padStart(9)} ${unit.padEnd(2)}`
  return `${left}  ${target.padEnd(18)} ${ratio.padEnd(8)} ${title}`.trimEnd()
}

function printEnd(groups: readonly Group[], values: ReadonlyMap<string, number>): number {
  const rows = ROWS.filter((row) => groups.includes(groupOf(row)))
  const missed = rows.filter((row) => {
    const value = values.get(row.id)
    return value !== undefined && !meetsTarget(row, value, values)
  })
  if (missed.length > 0) print(`targets missed: ${missed.map(({ id }) => id).join(', ')}`)
  const missing = rows.filter(({ id }) => !values.has(id))
  if (missing.length === 0) return 0
  print(`rows missing: ${missing.map(({ id }) => id).join(', ')}`)
  return 1
}

function describeCommit(): string {
  const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8' }).trim()
  try {
    const changed = git('status', '--porcelain', '--', 'src') === '' ? '' : ' and changes to src/'
    return git('rev-parse', '--short', 'HEAD') + changed
  } catch {
    return 'unknown'
  }
}

function formatLoad(): string {
  return loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
