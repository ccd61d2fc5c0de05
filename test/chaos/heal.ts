/** All is put right, and then every node must come to have the same. */
import type { NodeStatus, VerifyAnswer } from '../../src/index.ts'
import { hashContent, Reader } from '../../src/sqlite/sqlite.ts'
import { databaseFile } from '../processes/content.ts'
import { until } from '../processes/wait.ts'
import { inTime } from './in-time.ts'
import type { Ledger } from './ledger.ts'
import type { Rig } from './rig.ts'
import { NO_TROUBLE } from './trouble.ts'
import type { Verdict } from './verdict.ts'
import type { Query, Workload } from './workloads/workload.ts'

const HEAL_MS = 90_000
const LEVEL_MS = 60_000
const VERIFY_MS = 60_000

/** Takes all trouble away, whatever part of it there was. */
export function calm(rig: Rig): void {
  rig.wires.heal()
  for (const seat of rig.seats) {
    rig.setTrouble(seat, NO_TROUBLE)
    seat.disk?.free()
    rig.resume(seat)
  }
}

/** @throws Error where not all nodes are voters again in time. */
export async function heal(rig: Rig): Promise<void> {
  calm(rig)
  await until(
    'all nodes run and vote',
    async () => {
      await rig.revive()
      const statuses = await rig.statuses()
      // All of them: one alone would make the number of voters even, and has to wait.
      const learners = statuses.filter(({ status }) => status.isLearner)
      for (const { seat } of learners) {
        await seat.handle?.call('changeMember', 'promote', rig.name(seat)).catch(() => {})
      }
      return learners.length === 0 && statuses.length === rig.count
    },
    HEAL_MS,
  )
}

/** Nobody writes any more. @throws Error where nodes are not level in time. */
export async function untilLevel(rig: Rig): Promise<void> {
  await until(
    'all nodes have applied the same',
    async () => {
      const statuses = (await rig.statuses()).map(({ status }) => status)
      const commit = Math.max(...statuses.map(({ commitIndex }) => commitIndex))
      const isLevel = statuses.every(({ appliedIndex }) => appliedIndex === commit)
      return statuses.length === rig.count && isLevel
    },
    LEVEL_MS,
  )
}

/** All content, at one index, by the nodes themselves. */
export async function verify(rig: Rig, verdict: Verdict): Promise<void> {
  const [seat] = rig.seats
  if (seat?.handle == null) throw new Error('the first node is not there to verify()')
  judgeVerified(await inTime(VERIFY_MS, seat.handle.call('verify')), rig.count, verdict)
}

export function judgeVerified(
  { differing, undecided, members }: VerifyAnswer,
  count: number,
  verdict: Verdict,
): void {
  const answered = members.filter(({ error }) => error === null)
  if (differing.length > 0) verdict.add('broken', `verify(): ${differing} differ`)
  if (undecided.length > 0) verdict.add('broken', `verify(): ${undecided} without a majority`)
  if (answered.length !== count) {
    const errors = members.flatMap(({ error }) => error ?? [])
    const text = `verify(): ${answered.length} members of ${count} have answered; ${errors}`
    verdict.add('broken', text)
  }
}

/** What a node says of its own databases, at any time. */
export function judgeStatus(
  name: string,
  { divergence: { reason, undecided, reinstalls } }: Pick<NodeStatus, 'divergence'>,
  verdict: Verdict,
): void {
  const differs = reason ?? undecided ?? (reinstalls > 0 ? 'its databases were replaced' : null)
  if (differs !== null) verdict.add('broken', `${name}: ${differs}`)
}

/** Of nodes that have closed: what is in their files, held against what clients were told. */
export function judgeFiles(
  files: readonly (readonly [where: string, dataDir: string])[],
  workloads: readonly Workload[],
  ledger: Ledger,
  verdict: Verdict,
): void {
  const hashes = new Set<string>()
  for (const [where, dataDir] of files) {
    const reader = new Reader(databaseFile(dataDir))
    try {
      const query: Query = (sql) => reader.query(sql, []).rows
      for (const workload of workloads) {
        workload.judge?.(query, where)
        workload.judgeEnd?.(query, where)
      }
      const ids = workloads.flatMap((workload) =>
        workload.ids === undefined ? [] : [workload.ids],
      )
      ledger.check(
        ids.flatMap((sql) => query(sql).map(([id]) => Number(id))),
        where,
        verdict,
      )
      hashes.add(hashContent(reader))
    } finally {
      reader.close()
    }
  }
  if (hashes.size > 1) verdict.add('broken', `files have ${hashes.size} different contents`)
}
