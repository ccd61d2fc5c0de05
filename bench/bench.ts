/**
 * The bench: one table of figures, ours beside what SQLite and the file system do alone on the
 * same machine in the same run. Promises that every process it starts is ended, that every part
 * ends in a bounded time, and that a row which could not be measured is named.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { measureBackupGroup } from './groups/backup.ts'
import { measureFailoverGroup } from './groups/failover.ts'
import type { GroupContext } from './groups/group.ts'
import { measureJobsGroup } from './groups/jobs.ts'
import { measureMemoryGroup } from './groups/memory.ts'
import { measurePeer } from './groups/peers.ts'
import { measureReadGroup } from './groups/read.ts'
import { measureRestartGroup } from './groups/restart.ts'
import { measureSnapshotGroup } from './groups/snapshot.ts'
import { measureTestingGroup } from './groups/testing.ts'
import { measureTransactionGroup } from './groups/transaction.ts'
import { measureWriteGroup } from './groups/write.ts'
import { endAllMembers } from './member-handle.ts'
import { PEERS, whyAbsent } from './peers/servers.ts'
import { printProfile } from './profile.ts'
import type { ProfiledThread } from './protocol.ts'
import { GROUPS, type Group, groupOf, meetsTarget, ROWS } from './rows.ts'
import { Stage } from './stage.ts'
import {
  describeRun,
  formatAbsent,
  formatHead,
  formatJson,
  formatLoad,
  formatPage,
  formatRow,
  formatRun,
} from './table.ts'

const GROUP_TIMEOUT_MS = 300_000
type Part = (context: GroupContext) => Promise<void>

const PARTS: Readonly<Record<Group, Part>> = {
  write: measureWriteGroup,
  transaction: measureTransactionGroup,
  read: measureReadGroup,
  failover: measureFailoverGroup,
  restart: measureRestartGroup,
  memory: measureMemoryGroup,
  snapshot: measureSnapshotGroup,
  backup: measureBackupGroup,
  jobs: measureJobsGroup,
  testing: measureTestingGroup,
}

/** The last run of this machine: `npm run demo` shows it in place of `docs/bench.json`. */
const LOCAL_PATH = 'data/bench.json'

export interface BenchOptions {
  readonly groups: readonly Group[]
  /** Where the figures go as JSON, and as a table for a page; null for nowhere. */
  readonly jsonPath: string | null
  readonly markdownPath: string | null
  /** Whether the peers of the jobs are measured as well. */
  readonly hasPeers: boolean
}

/** Resolves with the exit status: 1 if a row is missing. */
export async function runBench(options: BenchOptions): Promise<number> {
  const { groups, jsonPath, markdownPath, hasPeers } = options
  const startedMs = performance.now()
  const values = new Map<string, number>()
  const run = describeRun()
  const loadBefore = formatLoad()
  print(`${formatRun(run)}\nload average at the start ${loadBefore}\n\n${formatHead()}`)
  for (const group of GROUPS) {
    if (groups.includes(group)) await runPart(group, PARTS[group], values)
  }
  const absent = hasPeers ? await runPeers(values) : PEERS.map(({ name }) => name)
  const loadAfter = formatLoad()
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(0)
  print(`\nload average at the end ${loadAfter}\n${seconds} s`)
  if (jsonPath !== null) writeFileSync(jsonPath, formatJson(run, values))
  if (groups.includes('write')) {
    mkdirSync('data', { recursive: true })
    writeFileSync(LOCAL_PATH, formatJson(run, values))
  }
  if (markdownPath !== null) {
    const load = `Load average ${loadBefore} at the start, ${loadAfter} at the end; ${seconds} s.`
    writeFileSync(markdownPath, `${formatRun(run)}.\n${load}\n\n${formatPage(values)}`)
  }
  return printEnd(groups, values, absent)
}

/** Profiles one thread of a cluster under load. */
export async function runProfile(thread: ProfiledThread): Promise<number> {
  await withStage((stage) => printProfile(stage, thread, print))
  return 0
}

/** Resolves with those that are not there. */
async function runPeers(values: Map<string, number>): Promise<string[]> {
  const absent: string[] = []
  for (const peer of PEERS) {
    const why = whyAbsent(peer)
    if (why === null) {
      await runPart(peer.name, (context) => measurePeer(peer, context), values)
      continue
    }
    absent.push(peer.name)
    for (const row of ROWS) if (row.peer === peer.name) print(formatAbsent(row, why))
  }
  return absent
}

async function runPart(name: string, part: Part, values: Map<string, number>): Promise<void> {
  const report = (id: string, value: number): void => {
    const row = ROWS.find((known) => known.id === id)
    if (row === undefined) throw new Error(`the table has no row ${id}`)
    values.set(id, value)
    print(formatRow(row, value, values))
  }
  try {
    await withStage((stage) => part({ stage, report }))
  } catch (error) {
    print(`${name}: FAILED: ${error instanceof Error ? error.stack : String(error)}`)
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

function printEnd(
  groups: readonly Group[],
  values: ReadonlyMap<string, number>,
  absent: readonly string[],
): number {
  const rows = ROWS.filter((row) => {
    return groups.includes(groupOf(row)) && !(row.peer !== undefined && absent.includes(row.peer))
  })
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

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
