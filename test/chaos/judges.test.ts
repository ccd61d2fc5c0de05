/** The judges of chaos can fail: each is shown a breach. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { NodeStatus, VerifyAnswer } from '../../src/index.ts'
import { RemoteError } from '../processes/node-handle.ts'
import { judgeStatus, judgeVerified } from './heal.ts'
import { type Add, judgeElements, type Read } from './judge-elements.ts'
import { Ledger } from './ledger.ts'
import { type Asked, LevelsOracle } from './levels-oracle.ts'
import { judgeError } from './promises.ts'
import type { Fate } from './record.ts'
import { Rig, type Seat } from './rig.ts'
import { formatSchedule, makeSchedule, parseSchedule } from './schedule.ts'
import { type Breach, Verdict } from './verdict.ts'

function add(id: number, callMs: number, returnMs = callMs + 1, fate: Fate = 'ok'): Add {
  return { ids: [id], callMs, returnMs, fate }
}

function read(ids: readonly number[], callMs: number, level: Read['level'] = 'strong'): Read {
  return { ids, level, at: 0, callMs, returnMs: callMs + 1 }
}

function breachesOf(adds: readonly Add[], reads: readonly Read[]): Partial<Verdict['counts']> {
  const verdict = new Verdict()
  judgeElements('a list', adds, reads, verdict)
  return Object.fromEntries(Object.entries(verdict.counts).filter(([, count]) => count > 0))
}

describe('elements', () => {
  const adds = [add(1, 0), add(2, 10), add(3, 20)]

  it('are right where every read has a beginning of them, also an old one of another level', () => {
    const open = add(4, 21, Number.POSITIVE_INFINITY, 'unknown')
    const reads = [read([1], 5), read([1, 2, 3], 30), read([1, 2, 3, 4], 40), read([], 50, 'none')]
    assert.deepEqual(breachesOf([...adds, open], reads), {})
  })

  const wrong: readonly (readonly [string, readonly Add[], readonly Read[], Breach])[] = [
    ['a strong read lacks what was acknowledged', adds, [read([1], 30)], 'stale'],
    [
      'a strong read has less than one before it',
      [add(1, 0, Number.POSITIVE_INFINITY, 'unknown')],
      [read([1], 5), read([], 10)],
      'stale',
    ],
    ['a read has one twice', adds, [read([1, 2, 2, 3], 30, 'none')], 'duplicated'],
    ['a read has what nobody added', adds, [read([1, 9], 5, 'none')], 'broken'],
    ['a read has what comes later', adds, [read([1, 2], 5, 'none')], 'broken'],
    ['a read has what was refused', [add(1, 0, 9, 'not-applied')], [read([1], 5)], 'broken'],
    ['two reads have two orders', adds, [read([1, 2, 3], 30), read([2], 30, 'none')], 'broken'],
    ['the order is against the clock', adds, [read([2, 1, 3], 30)], 'broken'],
    [
      'a read has half of a batch',
      [{ ids: [1, 2], callMs: 0, returnMs: 9, fate: 'ok' }],
      [read([1], 5)],
      'broken',
    ],
  ]
  for (const [what, someAdds, reads, breach] of wrong) {
    it(`are wrong where ${what}`, () => {
      assert.ok((breachesOf(someAdds, reads)[breach] ?? 0) > 0, what)
    })
  }
})

describe('the ledger', () => {
  function check(fate: Fate, ids: readonly number[]): Verdict['counts'] {
    const [ledger, verdict] = [new Ledger(), new Verdict()]
    ledger.settle(ledger.next(), fate)
    ledger.check(ids, 'node-1', verdict)
    return verdict.counts
  }

  const none = { lost: 0, duplicated: 0, stale: 0, broken: 0, undecided: 0 }
  it('lets be what may be or not', () => {
    for (const ids of [[], [1]]) assert.deepEqual(check('unknown', ids), none)
    assert.deepEqual(check('ok', [1]), none)
  })

  it('takes no commit of a fenced write for the word that its lock was held', () => {
    for (const [fate, lost] of [
      ['committed', 0],
      ['ok', 1],
    ] as const) {
      const [ledger, verdict] = [new Ledger(), new Verdict()]
      ledger.settleFenced(ledger.next(), fate)
      ledger.check([], 'node-1', verdict)
      assert.deepEqual(verdict.counts, { ...none, lost })
    }
  })

  it('finds what is lost, twice, refused and there, or nobody’s', () => {
    assert.deepEqual(check('ok', []), { ...none, lost: 1 })
    assert.deepEqual(check('committed', []), { ...none, lost: 1 })
    assert.deepEqual(check('unknown', [1, 1]), { ...none, duplicated: 1 })
    assert.deepEqual(check('not-applied', [1]), { ...none, broken: 1 })
    assert.deepEqual(check('ok', [1, 2]), { ...none, broken: 1 })
  })
})

describe('the oracle of levels', () => {
  function judge(asked: Asked, n: number, callMs: number, level: Read['level']): Verdict['counts'] {
    const verdict = new Verdict()
    const oracle = new LevelsOracle({ leaseMs: 800, boundedMs: 500 }, verdict)
    oracle.begin(1, 0)
    oracle.acknowledge(1, 10, 7)
    const node = {}
    const returnMs = callMs + 1
    oracle.judge({ asked, level, n, after: 1, node, callMs, returnMs })
    return verdict.counts
  }

  it('knows how old each may be', () => {
    assert.equal(judge('strong', 0, 11, 'strong').stale, 1)
    assert.equal(judge('strong', 0, 9, 'strong').stale, 0)
    assert.equal(judge('lease', 0, 811, 'lease').broken, 1)
    assert.equal(judge('lease', 0, 811, 'weak').broken, 0)
    assert.equal(judge('bounded', 0, 511, 'none').broken, 1)
    assert.equal(judge('bounded', 0, 510, 'none').broken, 0)
    assert.equal(judge('after', 0, 11, 'none').broken, 1)
    assert.equal(judge('none', 0, 9_999, 'none').broken, 0)
    assert.equal(judge('none', 2, 11, 'none').broken, 1)
  })

  it('lets no node go back', () => {
    const verdict = new Verdict()
    const oracle = new LevelsOracle({ leaseMs: 800, boundedMs: 500 }, verdict)
    for (const n of [1, 2]) oracle.begin(n, n)
    const node = {}
    const seen = { asked: 'none', level: 'none', after: 0 } as const
    oracle.judge({ ...seen, n: 2, node, callMs: 3, returnMs: 4 })
    oracle.judge({ ...seen, n: 1, node: {}, callMs: 5, returnMs: 6 })
    assert.equal(verdict.counts.broken, 0)
    oracle.judge({ ...seen, n: 1, node, callMs: 5, returnMs: 6 })
    assert.equal(verdict.counts.broken, 1)
  })
})

describe('a schedule', () => {
  it('is the same for the same seed, and comes back from its lines', () => {
    const options = { seed: 3, durationMs: 120_000, restMs: 1_000 }
    const faults = makeSchedule(options)
    assert.ok(faults.length > 20, `${faults.length} faults`)
    assert.deepEqual(makeSchedule(options), faults)
    assert.notDeepEqual(makeSchedule({ ...options, seed: 4 }), faults)
    assert.deepEqual(parseSchedule(formatSchedule(faults)), faults)
  })

  it('names the line that is no fault', () => {
    assert.throws(() => parseSchedule('{"kind":"rain","atMs":1}'), /line 1 .*rain/)
    assert.throws(() => parseSchedule('rain'), /line 1/)
  })
})

describe('what callers are told', () => {
  function told(code: string, outcome: string, retryable: boolean): RemoteError {
    const error = { name: 'ColmenaError', message: 'as told', code, outcome, retryable }
    return new RemoteError('execute', { ...error, sqliteCode: undefined })
  }

  it('is right by the page of errors', () => {
    assert.equal(judgeError('execute', told('ERR_NO_LEADER', 'not-applied', true)), null)
    assert.equal(judgeError('batch', told('ERR_TIMEOUT', 'committed', true)), null)
    assert.equal(judgeError('execute', told('ERR_STALE', 'not-applied', true)), null)
  })

  const wrong: readonly (readonly [string, RemoteError])[] = [
    ['no page has the code', told('ERR_RAIN', 'unknown', true)],
    ['no such call is promised it', told('ERR_HANDSHAKE', 'not-applied', true)],
    ['its code never has that outcome', told('ERR_BUSY', 'unknown', true)],
    ['it may be tried again, and its code says no', told('ERR_CLOSED', 'unknown', true)],
    ['it may not be tried again, and its code says yes', told('ERR_BUSY', 'not-applied', false)],
  ]
  for (const [what, error] of wrong) {
    it(`is wrong where ${what}`, () => {
      assert.match(judgeError('execute', error) ?? '', /as told/)
    })
  }
})

describe('what nodes say of themselves', () => {
  const whole = { reason: null, undecided: null, found: 0, reinstalls: 0 }
  const statuses: readonly (readonly [string, NodeStatus['divergence'], number])[] = [
    ['all is well', whole, 0],
    ['its databases may differ', { ...whole, reason: 'they differ' }, 1],
    ['nobody knows who is right', { ...whole, undecided: 'they differ' }, 1],
    ['it took those of another', { ...whole, reinstalls: 1 }, 1],
  ]
  for (const [what, divergence, broken] of statuses) {
    it(`counts where ${what}`, () => {
      const verdict = new Verdict()
      judgeStatus('node-1', { divergence }, verdict)
      assert.equal(verdict.counts.broken, broken)
    })
  }

  const member = { nodeId: 'node-1', hashes: { main: 'a' }, error: null }
  const equal = { index: 1, members: [member], differing: [], undecided: [] }
  const answers: readonly (readonly [string, VerifyAnswer, number])[] = [
    ['all is equal', equal, 0],
    ['one differs', { ...equal, differing: ['node-1'] }, 1],
    ['there is no majority', { ...equal, undecided: ['main'] }, 1],
    ['one has not answered', { ...equal, members: [] }, 1],
    ['one could not', { ...equal, members: [{ ...member, hashes: null, error: 'no' }] }, 1],
  ]
  for (const [what, answer, broken] of answers) {
    it(`is verified where ${what}`, () => {
      const verdict = new Verdict()
      judgeVerified(answer, 1, verdict)
      assert.equal(verdict.counts.broken, broken)
    })
  }

  it('is an oddity where one ends by itself', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'colmena-chaos-rig-'))
    const oddities: string[] = []
    const oddity = (text: string): number => oddities.push(text)
    const rig = new Rig({ count: 1, folder, strongReads: 'majority', oddity })
    t.after(() => {
      rig.release(false)
      rmSync(folder, { recursive: true, force: true })
    })
    await rig.end()
    const [seat] = rig.seats as [Seat]
    const failed = { reason: 'failed', cause: { code: 'ERR_REMOVED' } }
    const closed = { events: [], eventsOf: () => [failed], isRunning: true, kill: async () => {} }
    for (const [isLeaving, count] of [
      [true, 0],
      [false, 1],
    ] as const) {
      Object.assign(seat, { handle: closed, isOpen: true, isLeaving })
      await rig.revive()
      assert.equal(oddities.length, count)
    }
    Object.assign(seat, {
      handle: { ...closed, eventsOf: () => [], isRunning: false },
      isOpen: true,
    })
    await rig.revive()
    assert.match(oddities.at(-1) ?? '', /node-1\.2 ended by itself: its process has ended/)
  })
})
