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
import { JobRuns } from './workloads/job-runs.ts'
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
  (books) => new JobRuns(books),
]

type Found = readonly [flaw: Flaw, breach: Breach, text: RegExp]

/** By workload: what a store may do wrong, and as what each of its judges must find that out. */
const WRONG: { readonly [workload: string]: readonly Found[] } = {
  registers: [
    ['loses', 'broken', /^broken: register \d+: /],
    ['is stale', 'broken', /^broken: register \d+: /],
    ['claims', 'broken', /^broken: register \d+: /],
    ['does what it refuses', 'broken', /^broken: register \d+: /],
    ['fails oddly', 'broken', /no such call is promised ERR_HANDSHAKE/],
  ],
  appends: [
    ['loses', 'lost', /the store lacks write \d+/],
    ['loses', 'stale', /lacks \d+, told to be there/],
    ['doubles', 'duplicated', /the store has write \d+ 2 times/],
    ['doubles', 'duplicated', /the read .* more than once/],
    ['does what it refuses', 'broken', /the read .*, which was refused/],
    ['does what it refuses', 'broken', /the store has write .* told: not-applied/],
    ['is stale', 'stale', /lacks \d+, told to be there/],
  ],
  sets: [
    ['halves', 'broken', /without all of/],
    ['halves', 'lost', /the store lacks write \d+/],
    ['is stale', 'stale', /lacks \d+,\d+, told to be there/],
  ],
  bank: [
    ['halves', 'broken', /a read .*: all accounts have \d+/],
    ['halves', 'broken', /by its transfers/],
    ['loses', 'lost', /the store lacks write \d+/],
    ['mixes', 'broken', /by its transfers/],
  ],
  places: [
    ['mixes', 'broken', /room \d+: \d+ are in it/],
    ['mixes', 'broken', /room \d+ has 5 places/],
  ],
  levels: [
    ['is stale', 'stale', /was acknowledged in time/],
    ['loses', 'lost', /the store says \d+, and \d+ was acknowledged/],
  ],
  fences: [
    ['locks nothing', 'broken', /was counted after/],
    ['locks nothing', 'broken', /wrote \d+ after lock \d+ had/],
    ['doubles', 'duplicated', /the store has write \d+ 2 times/],
    ['loses', 'lost', /the store lacks write \d+/],
  ],
  onces: [
    ['forgets', 'broken', /have the results of several runs/],
    ['loses', 'lost', /the store lacks run \d+/],
  ],
  jobs: [
    ['loses', 'lost', /the store lacks write \d+/],
    ['loses', 'lost', /the store: job job-\d+ is dead/],
    ['doubles', 'duplicated', /the store has write \d+ 2 times/],
    ['doubles', 'duplicated', /job job-\d+ succeeded 2 times/],
    ['does what it refuses', 'broken', /the store has write .* told: not-applied/],
  ],
}

/** Keeps every text, not the first of each kind alone. */
class Everything extends Verdict {
  readonly all: string[] = []

  override add(breach: Breach, text: string): void {
    super.add(breach, text)
    this.all.push(`${breach}: ${text}`)
  }
}

async function judge(create: (books: Books) => Workload, flaw: Flaw): Promise<Everything> {
  const verdict = new Everything()
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

    for (const [flaw, breach, text] of WRONG[name] ?? []) {
      it(`find out a store that ${flaw}, as ${breach}: ${text.source}`, async () => {
        const verdict = await judge(create, flaw)
        assert.ok(verdict.counts[breach] > 0, JSON.stringify(verdict.counts))
        assert.ok(
          verdict.all.some((one) => text.test(one)),
          verdict.texts.join('\n'),
        )
      })
    }
  })
}

it('a register that is not judged in so many steps is undecided', async () => {
  const verdict = await judge((books) => new Registers(books, 1), 'none')
  assert.ok(verdict.counts.undecided > 0)
  assert.equal(verdict.isGood, false)
  assert.equal(verdict.line, 'lost 0 duplicated 0 stale 0')
})
