import assert from 'node:assert/strict'
import type { Fate, WriteFate } from './protocol.ts'

/** What writers were told became of their writes, and whether the databases agree. */
export class Ledger {
  readonly #fates = new Map<string, Fate>()
  readonly counts: Record<Fate, number> = {
    acknowledged: 0,
    committed: 0,
    'not-applied': 0,
    unknown: 0,
  }
  /** How often each error code came. */
  readonly codes: Record<string, number> = {}

  add(fates: readonly WriteFate[]): void {
    for (const { id, fate, code } of fates) {
      assert.ok(!this.#fates.has(id), `${id} was told twice`)
      this.#fates.set(id, fate)
      this.counts[fate] += 1
      if (code !== '') this.codes[code] = (this.codes[code] ?? 0) + 1
    }
  }

  /** The ids of those that were told to be there. */
  acknowledged(): readonly string[] {
    return [...this.#fates].flatMap(([id, fate]) => (fate === 'acknowledged' ? [id] : []))
  }

  /** Every promise was kept in a database that holds these ids, one per write that it ran. */
  check(ids: readonly string[], where: string): void {
    const present = new Set(ids)
    assert.equal(ids.length, present.size, `${where}: a write was done twice: ${twice(ids)}`)
    for (const [id, fate] of this.#fates) {
      if (fate === 'unknown') continue
      const isWanted = fate !== 'not-applied'
      assert.equal(present.has(id), isWanted, `${where}: write ${id} was told to be ${fate}`)
    }
  }
}

function twice(ids: readonly string[]): string {
  const seen = new Set<string>()
  return ids.find((id) => seen.size === seen.add(id).size) ?? 'none'
}
