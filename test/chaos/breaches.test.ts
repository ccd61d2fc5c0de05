/** Each workload of chaos finds out a store that is wrong, and lets one be that is right. */
import assert from 'node:assert/strict'
import { devNull } from 'node:os'
import { describe, it } from 'node:test'
import { SeededRandom } from '../simulated/random.ts'
import { Client } from './client.ts'
import { Ledger } from './ledger.ts'
import { Record } from './record.ts'
import { type Breach, Verdict } from './verdict.ts'
import { Bank } from './workloads/bank.ts'
import { Elements } from './workloads/elements.ts'
import { Fences } from './workloads/fences.ts'
import { Levels } from './workloads/levels.ts'
import { Onces } from './workloads/onces.ts'
import { Places } from './workloads/places.ts'
import { Registers } from './workloads/registers.ts'
import type { Books, Workload } from './workloads/workload.ts'
import { type Flaw, WRONG_EVERY, WrongStore } from './wrong-store.ts'

/** The last of so many is one that goes wrong. */
const STEPS = 12 * WRONG_EVERY

const WORKLOADS: readonly ((books: Books) => Workload)[] = [
  (books) => new Registers(books),
  (books) => new Elements(books, { name: 'appends', clients: 3, together: 1 }),
  (books) => new Elements(books, { name: 'sets', clients: 2, together: 2 }),
  (books) => new Bank(books),
  (books) => new Places(books),
  (books) => new Levels(books),
  (books) => new Fences(books),
  (books) => new Onces(books),
]

/** By workload: what a store may do wrong, and as what it must be found out. */
const WRONG: { readonly [workload: string]: readonly (readonly [Flaw, Breach])[] } = {
  registers: [
    ['loses', 'broken'],
    ['is stale', 'broken'],
    ['claims', 'broken'],
    ['does what it refuses', 'broken'],
    ['fails oddly', 'broken'],
  ],
  appends: [
    ['loses', 'lost'],
    ['loses', 'stale'],
    ['doubles', 'duplicated'],
    ['does what it refuses', 'broken'],
    ['is stale', 'stale'],
  ],
  sets: [
    ['halves', 'broken'],
    ['halves', 'lost'],
    ['is stale', 'stale'],
  ],
  bank: [
    ['halves', 'broken'],
    ['loses', 'lost'],
    ['mixes', 'broken'],
  ],
  places: [['mixes', 'broken']],
  levels: [
    ['is stale', 'stale'],
    ['loses', 'lost'],
  ],
  fences: [
    ['locks nothing', 'broken'],
    ['doubles', 'duplicated'],
    ['loses', 'lost'],
  ],
  onces: [['forgets', 'broken']],
}

async function judge(create: (books: Books) => Workload, flaw: Flaw): Promise<Verdict> {
  const verdict = new Verdict()
  const books = { record: new Record(devNull), ledger: new Ledger(), verdict }
  const workload = create(books)
  const store = new WrongStore(workload.schema, flaw)
  const random = new SeededRandom(1)
  await Promise.all(
    Array.from({ length: workload.clients }, async (_, at) => {
      const client = new Client(at + 1, store, random.stream(`client ${at}`), verdict)
      for (let step = 0; step < STEPS; step += 1) await workload.step(client)
    }),
  )
  workload.finish()
  workload.judge?.(store.query, 'the store')
  workload.judgeEnd?.(store.query, 'the store')
  const ids = workload.ids === undefined ? [] : store.query(workload.ids)
  books.ledger.check(
    ids.map(([id]) => Number(id)),
    'the store',
    verdict,
  )
  books.record.close()
  store.close()
  return verdict
}

for (const create of WORKLOADS) {
  const { name } = create({} as Books)
  describe(name, () => {
    it('let a store be that is right', async () => {
      const verdict = await judge(create, 'none')
      assert.ok(verdict.isGood, verdict.texts.join('\n'))
    })

    for (const [flaw, breach] of WRONG[name] ?? []) {
      it(`find out a store that ${flaw}, as ${breach}`, async () => {
        const verdict = await judge(create, flaw)
        assert.ok(verdict.counts[breach] > 0, JSON.stringify(verdict.counts))
      })
    }
  })
}
