/** Lives on threads: one that fails in whatever way is the failure of its seed, and no other's. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Life } from './life.ts'
import { type LifeEnd, liveMany, type ManyOptions } from './many.ts'

const FAILING = new URL('failing-thread.ts', import.meta.url)
const LIFE = { faultMs: 20 }
/** A life takes a tenth of a second, and five times as much where a thread just began. */
const LIMIT_MS = 3_000
/** By then a run that hangs has failed. */
const DEADLINE_MS = 60_000

async function ends(options: Partial<ManyOptions>): Promise<LifeEnd[]> {
  const told: LifeEnd[] = []
  await liveMany({
    first: 1,
    last: 1,
    threads: 2,
    life: LIFE,
    signal: AbortSignal.timeout(DEADLINE_MS),
    ended: (end) => told.push(end),
    ...options,
  })
  return told.sort((a, b) => a.seed - b.seed)
}

describe('many lives', () => {
  it('are each the life of its seed, however many threads live them', async () => {
    const alone = [1, 2, 3, 4].map((seed) => new Life({ seed, ...LIFE }).run())
    for (const threads of [1, 3]) {
      const told = await ends({ last: 4, threads })
      assert.deepEqual(
        told.map(({ report }) => report),
        alone,
      )
    }
  })

  it('go on behind one that never ends, throws, fails too late or ends its thread', async () => {
    const told = await ends({ last: 9, thread: FAILING, limitMs: LIMIT_MS })
    const wrong: Readonly<Record<number, RegExp>> = {
      3: /^liveness: it did not end within 3 s$/,
      4: /^liveness: Error: no life at all\n +at .*failing-thread\.ts/,
      5: /^liveness: Error: too late\n +at .*failing-thread\.ts/,
      6: /^liveness: it ended its thread, with status 7$/,
    }
    assert.deepEqual(
      told.map(({ seed }) => seed),
      [1, 2, 3, 4, 5, 6, 7, 8, 9],
    )
    for (const { seed, violations, report } of told) {
      const expected = wrong[seed]
      assert.equal(violations.length, expected === undefined ? 0 : 1, `seed ${seed}`)
      assert.equal(report === null, expected !== undefined, `seed ${seed}`)
      if (expected !== undefined) assert.match(violations[0] ?? '', expected)
    }
  })

  it('are told of no more once somebody has heard enough', async () => {
    const enough = new AbortController()
    const told: number[] = []
    const ended = ({ seed }: LifeEnd): void => {
      told.push(seed)
      enough.abort()
    }
    await ends({ last: 3, threads: 1, thread: FAILING, signal: enough.signal, ended })
    assert.deepEqual(told, [1])
  })

  it('are none of theirs if their thread can not begin', async () => {
    const thread = new URL("data:text/javascript,throw new Error('nothing here')")
    await assert.rejects(ends({ last: 3, thread }), /nothing here/)
  })
})
