import assert from 'node:assert/strict'
import type { ReachedState } from './invariants.ts'
import { Life, type LifeOptions } from './life.ts'

/** A life that must break nothing, and heal; what it came to. */
export function live(options: LifeOptions): readonly ReachedState[] {
  const report = new Life(options).run()
  const replay = `npm run simulate -- --seed ${options.seed} --fault-ms ${options.faultMs}`
  assert.deepEqual(report.violations, [], replay)
  assert.ok(report.isJudged, replay)
  return report.reached
}
