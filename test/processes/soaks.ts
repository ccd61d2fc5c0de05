/** The long forms, by the names that `npm run soak` knows them by. */
import { runRandomCases } from '../backup/random-cases.ts'
import { runFuzz } from '../fuzz/long-form.ts'
import { runColdStarts } from '../hosts/cold-starts.ts'
import { runDeploys } from '../hosts/deploys.ts'
import { runPromotions } from '../hosts/lan.ts'
import { runPowerCuts } from '../hosts/power-cut.ts'
import { runTestNodes } from '../testing/many.ts'
import { runBackups } from './scenarios/backups.ts'
import { runChanges } from './scenarios/changes.ts'
import { runDemoForm } from './scenarios/demo.ts'
import { runFlaps } from './scenarios/flaps.ts'
import { runFlood } from './scenarios/flood.ts'
import { runJobs } from './scenarios/jobs.ts'
import { runKills } from './scenarios/kills.ts'
import { runMembership } from './scenarios/membership.ts'
import { runRelaxed } from './scenarios/relaxed.ts'
import { runSecurity } from './scenarios/security.ts'
import { runSnapshots } from './scenarios/snapshots.ts'
import { runStalls } from './scenarios/stalls.ts'
import { runTransactions } from './scenarios/transactions.ts'
import { runUniqueJobs } from './scenarios/unique-jobs.ts'
import { runUpgrade } from './scenarios/upgrade.ts'

const ORDERS = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
] as const

/** One that takes long tells how far it is. */
export type Soak = (progress: (line: string) => void) => Promise<readonly string[]>

export const soaks: Readonly<Record<string, Soak>> = {
  fuzz: (progress) => runFuzz({ durationMs: 600_000, progress }),
  kills: () => runKills({ durationMs: 60_000, killsMin: 20, restMs: 0 }),
  relaxed: () => runRelaxed({ kills: 9, killsOfAll: 3 }),
  stalls: () => runStalls({ blockMs: 3_000, rows: 1_000_000 }),
  flaps: () => runFlaps({ everyMs: 200, durationMs: 60_000 }),
  snapshots: () => runSnapshots({ ballastMib: 512 }),
  flood: async () => [
    ...(await runFlood({ durationMs: 60_000, through: 'leader' })),
    ...(await runFlood({ durationMs: 60_000, through: 'follower' })),
  ],
  upgrades: async () => {
    const lines: string[] = []
    for (const order of ORDERS) lines.push(await runUpgrade(order))
    return lines
  },
  membership: (progress) =>
    runMembership({ durationMs: 180_000, clients: 16, restMs: 5, progress }),
  'power-cut': async (progress) => {
    const form = { nodes: 5, apartMsMax: 12_000, seed: 1, progress }
    return [
      ...(await runPowerCuts({ ...form, by: 'addresses', cuts: 12 })),
      ...(await runPowerCuts({ ...form, by: 'lan', cuts: 6 })),
    ]
  },
  'cold-starts': (progress) =>
    runColdStarts({ starts: 200, ways: ['lan', 'fly'], seed: 1, progress }),
  promotions: (progress) => runPromotions({ kills: 24, seed: 1, progress }),
  deploys: (progress) => runDeploys({ deploys: 4, electionTimeoutMs: 1_000, progress }),
  transactions: () => runTransactions({ changes: 1_000 }),
  changes: async (progress) => [
    await runChanges({ kills: 500, durationMsMax: 5_400_000, progress }),
  ],
  jobs: async (progress) => [
    ...(await runJobs({ jobs: 20_000, killEvery: 400, progress })),
    await runUniqueJobs({ enqueues: 10_000, keys: 100 }),
  ],
  security: () => runSecurity({ each: 1_000, isInTurn: true }),
  backups: async (progress) => [
    ...(await runRandomCases({ cases: 1_000, seed: 1, progress })),
    ...(await runBackups({ kills: 50, restMs: 5 })),
  ],
  'test-nodes': () => runTestNodes({ nodes: 100 }),
  demo: () =>
    runDemoForm({
      durationMs: 600_000,
      ratePerSecond: 200,
      breakEverySeconds: 10,
      memoryFromMs: 180_000,
    }),
}
