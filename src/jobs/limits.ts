import type { InputStatement } from '../index.ts'
import { checkKeys, checkWhole } from './invalid.ts'

/** So many starts in any window of that length. */
export interface Rate {
  readonly max: number
  readonly perMs: number
}

/** Of all nodes together, exactly: a claim counts what runs and has started. 0 removes a limit. */
export interface Limits {
  /** How many of the type run at a time. */
  readonly concurrency?: number | undefined
  readonly rate?: Rate | 0 | undefined
  /** The same for those of one `concurrencyKey`. */
  readonly keyConcurrency?: number | undefined
  readonly keyRate?: Rate | 0 | undefined
}

const MOST = 1_000_000
const DAY_MS = 86_400_000

/** Sets those that are named, and leaves the others. @throws ColmenaError ERR_INVALID_ARGUMENT */
export function limitStatements(type: string, limits: Limits): readonly InputStatement[] {
  checkKeys(limits, ['concurrency', 'rate', 'keyConcurrency', 'keyRate'], 'limit')
  const values: (readonly [column: string, value: number | null])[] = []
  const { concurrency, rate, keyConcurrency, keyRate } = limits
  if (concurrency !== undefined) values.push(['concurrency', toCount('concurrency', concurrency)])
  if (keyConcurrency !== undefined) {
    values.push(['lane_concurrency', toCount('keyConcurrency', keyConcurrency)])
  }
  if (rate !== undefined) values.push(...toRate('rate', 'rate', rate))
  if (keyRate !== undefined) values.push(...toRate('keyRate', 'lane_rate', keyRate))
  const known = { sql: KNOWN, args: [type] }
  if (values.length === 0) return [known]
  const columns = values.map(([column], at) => `${column} = ?${at + 2}`).join(', ')
  const args = [type, ...values.map(([, value]) => value)]
  return [known, { sql: `UPDATE colmena_job_types SET ${columns} WHERE type = ?1`, args }]
}

/** A type is known from the first handler, pause or limit on. */
export const KNOWN = 'INSERT INTO colmena_job_types (type) VALUES (?1) ON CONFLICT DO NOTHING'

export function pauseStatements(type: string, isPaused: boolean): readonly InputStatement[] {
  const sql = 'UPDATE colmena_job_types SET is_paused = ?2 WHERE type = ?1'
  return [
    { sql: KNOWN, args: [type] },
    { sql, args: [type, isPaused ? 1 : 0] },
  ]
}

function toCount(name: string, count: unknown): number | null {
  return checkWhole(name, count, 0, MOST) || null
}

function toRate(
  name: string,
  column: string,
  rate: unknown,
): readonly (readonly [string, number | null])[] {
  if (rate === 0) {
    return [
      [`${column}_max`, null],
      [`${column}_ms`, null],
    ]
  }
  checkKeys(rate, ['max', 'perMs'], name)
  const { max, perMs } = rate as Rate
  return [
    [`${column}_max`, checkWhole(`${name}.max`, max, 1, MOST)],
    [`${column}_ms`, checkWhole(`${name}.perMs`, perMs, 1, 30 * DAY_MS)],
  ]
}
