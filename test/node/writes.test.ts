import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { ColmenaError, SqlError } from '../../src/base/errors.ts'
import {
  decodeCommandResult,
  decodeWrite,
  encodeCommandResult,
  type UnitResult,
  type WriteCommand,
} from '../../src/command/command.ts'
import { CallCounts } from '../../src/node/call-counts.ts'
import { Deadlines } from '../../src/node/deadlines.ts'
import { APPLY_LAG_MS_MAX } from '../../src/node/readiness.ts'
import type { AskedSettings, Written } from '../../src/node/write-call.ts'
import {
  WRITE_LIMITS,
  type WriteOutcome,
  type WriteRequest,
  Writes,
} from '../../src/node/writes.ts'

const ORIGIN = '0123456789abcdef'.repeat(2)
const DONE: UnitResult = {
  ok: true,
  statements: [{ columns: [], columnTypes: [], rows: [], rowsAffected: 1, lastInsertRowid: null }],
}

class Rig {
  readonly sent: WriteCommand[] = []
  readonly asked: string[] = []
  outcome: Promise<WriteOutcome> = Promise.resolve({ outcome: 'unknown' })
  applyLagMs = 0
  haltedReason: string | null = null
  nowMs: () => number = () => performance.now()
  readonly counts: CallCounts = new CallCounts()
  readonly writes: Writes

  constructor(t: TestContext, timeoutMs = 60_000) {
    const deadlines = new Deadlines(timeoutMs, () => this.nowMs())
    t.after(() => deadlines.close())
    this.writes = new Writes({
      origin: ORIGIN,
      deadlines,
      counts: this.counts,
      applyLagMs: () => this.applyLagMs,
      haltedReason: () => this.haltedReason,
      post: (database, sequence, bytes) => {
        const command = decodeWrite(bytes)
        assert.equal(command.database, database)
        assert.equal(command.sequence, sequence)
        assert.equal(command.origin, ORIGIN)
        this.sent.push(command)
      },
      askOutcome: (database, sequence) => {
        this.asked.push(`${database} ${sequence}`)
        return this.outcome
      },
    })
  }

  write(
    sql: string,
    more: Partial<Pick<WriteRequest, 'signal' | 'database'> & AskedSettings> = {},
  ): Promise<Written> {
    const { database = 'main', signal, ...asked } = more
    const unit = { statements: [{ sql, args: [] }] }
    const place = { index: 0, count: 1 }
    const written = this.writes.submit({ database, ...asked, unit, place, signal })
    // Judged later, when the test looks at it.
    written.catch(() => {})
    return written
  }

  answer(sequence: number, units: readonly UnitResult[], database = 'main'): void {
    const index = 100 + sequence
    const bytes = encodeCommandResult({ database, sequence, isTried: false, index, term: 7, units })
    const times = { committedMs: 1_002, appliedMs: 1_003 }
    this.writes.answered(decodeCommandResult(bytes), times)
  }

  /** The SQL of each command that left. */
  get commands(): string[][] {
    return this.sent.map(({ units }) => units.map(({ statements }) => statements[0]?.sql ?? ''))
  }
}

/** Until all microtasks that are due have run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

suite('writes', () => {
  test('calls that ask for different databases of one name share no command', async (t) => {
    for (const asked of [{ doubleQuotedStrings: true }, { changes: true }]) {
      const rig = new Rig(t)
      rig.write('a', asked)
      rig.write('b', asked)
      rig.write('c')
      await turn()
      assert.deepEqual(rig.commands, [['a', 'b'], ['c']])
      assert.deepEqual(
        rig.sent.map(({ doubleQuotedStrings, changes }) => ({ doubleQuotedStrings, changes })),
        [asked, {}].map((one) => ({ doubleQuotedStrings: undefined, changes: undefined, ...one })),
      )
    }
  })

  test('calls of one turn share a command, and each gets its own answer', async (t) => {
    const rig = new Rig(t)
    const a = rig.write('a')
    const b = rig.write('b')
    assert.deepEqual(rig.commands, [])
    await turn()
    assert.deepEqual(rig.commands, [['a', 'b']])
    const error = { code: 'ERR_SQL', message: 'no', sqliteCode: 19, statementIndex: 0 }
    rig.answer(1, [DONE, { ok: false, error }])
    assert.equal((await a).place.index, 101)
    await assert.rejects(b, (e: unknown) => e instanceof SqlError && e.sqliteCode === 19)
    assert.equal(rig.writes.pendingCount, 0)
  })

  test('an answer says where in the log it is, and how long that took', async (t) => {
    const rig = new Rig(t)
    rig.nowMs = () => 1_000
    const written = rig.write('a')
    await turn()
    rig.answer(1, [DONE])
    const timing = { committedMs: 2, appliedMs: 3 }
    assert.deepEqual((await written).place, { index: 101, term: 7, timing })
  })

  test('each call is counted once, by what became of it', async (t) => {
    const rig = new Rig(t)
    rig.nowMs = () => 1_000
    const answered = rig.write('a')
    const refused = rig.write('b')
    await turn()
    const error = { code: 'ERR_SQL', message: 'no', sqliteCode: 19, statementIndex: 0 }
    rig.answer(1, [DONE, { ok: false, error }])
    const abort = new AbortController()
    rig.outcome = Promise.resolve({ outcome: 'committed', index: 102 })
    const aborted = rig.write('c', { signal: abort.signal })
    await turn()
    abort.abort()
    await Promise.allSettled([answered, refused, aborted])
    // Too late: its caller knows that it is committed.
    rig.answer(2, [DONE])
    const lost = rig.write('d')
    await turn()
    rig.writes.jumpedOver('main', 3)
    rig.haltedReason = 'no room'
    await Promise.allSettled([lost, rig.write('e')])

    const { outcomes, errors, committedMs, appliedMs } = rig.counts.writeMetrics()
    assert.deepEqual(outcomes, { acknowledged: 1, 'not-applied': 2, committed: 1, unknown: 1 })
    const halted = { ERR_APPLY_HALTED: 1 }
    assert.deepEqual(errors, { ERR_SQL: 1, ERR_ABORTED: 1, ERR_RESULT_LOST: 1, ...halted })
    assert.deepEqual([committedMs.count, committedMs.sum], [2, 4])
    assert.deepEqual([appliedMs.count, appliedMs.sum], [2, 6])
  })

  test('what arrives while two commands are in flight leaves as one', async (t) => {
    const rig = new Rig(t)
    for (const sql of ['a', 'b', 'c', 'd']) {
      rig.write(sql)
      await turn()
    }
    assert.deepEqual(rig.commands, [['a'], ['b']])
    rig.answer(1, [DONE])
    await turn()
    assert.deepEqual(rig.commands, [['a'], ['b'], ['c', 'd']])
    assert.deepEqual(
      rig.sent.map(({ sequence }) => sequence),
      [1, 2, 3],
    )
  })

  test('databases have sequences and flights of their own', async (t) => {
    const rig = new Rig(t)
    for (const sql of ['a', 'b', 'c']) {
      rig.write(sql)
      await turn()
    }
    rig.write('x', { database: 'other' })
    await turn()
    assert.equal(rig.sent.at(-1)?.sequence, 1)
    assert.deepEqual(rig.commands, [['a'], ['b'], ['x']])
  })

  test('a command has a bounded number of units and of bytes', async (t) => {
    const rig = new Rig(t)
    for (let i = 0; i <= WRITE_LIMITS.commandUnitsMax; i += 1) rig.write('a')
    await turn()
    assert.deepEqual(
      rig.commands.map(({ length }) => length),
      [WRITE_LIMITS.commandUnitsMax, 1],
    )
    const large = new Rig(t)
    for (const letter of ['a', 'b', 'c']) large.write(letter.repeat(100_000))
    await turn()
    assert.deepEqual(
      large.commands.map(({ length }) => length),
      [2, 1],
    )
  })

  test('a unit that is too large is refused, whatever its letters', async (t) => {
    const rig = new Rig(t)
    await assert.rejects(rig.write('a'.repeat(WRITE_LIMITS.unitBytesMax)), {
      code: 'ERR_TOO_LARGE',
    })
    await assert.rejects(rig.write('é'.repeat(WRITE_LIMITS.unitBytesMax / 2)), {
      code: 'ERR_TOO_LARGE',
    })
    assert.equal(rig.writes.pendingCount, 0)
  })

  test('pending bytes are bounded, and come back with the answers', async (t) => {
    const rig = new Rig(t)
    const sql = 'a'.repeat(WRITE_LIMITS.unitBytesMax - 100)
    const fitting = Math.floor(WRITE_LIMITS.pendingBytesMax / WRITE_LIMITS.unitBytesMax)
    for (let i = 0; i < fitting; i += 1) rig.write(sql)
    const busy = { code: 'ERR_BUSY', retryable: true, outcome: 'not-applied' }
    await assert.rejects(rig.write(sql), busy)
    await turn()
    rig.answer(1, [DONE])
    rig.write(sql)
    await assert.rejects(rig.write(sql), busy)
    assert.equal(rig.writes.pendingCount, fitting)
  })

  test('a node that is far behind takes none', async (t) => {
    const rig = new Rig(t)
    rig.applyLagMs = APPLY_LAG_MS_MAX + 1
    await assert.rejects(rig.write('a'), { code: 'ERR_LAGGING', retryable: true })
    rig.applyLagMs = APPLY_LAG_MS_MAX
    rig.write('a')
    await turn()
    assert.deepEqual(rig.commands, [['a']])
  })

  test('a node that can not write its databases takes none, and says why', async (t) => {
    const rig = new Rig(t, 30)
    const left = rig.write('a')
    await turn()
    rig.haltedReason = 'the disk is full'
    await assert.rejects(rig.write('b'), {
      code: 'ERR_APPLY_HALTED',
      outcome: 'not-applied',
      retryable: true,
      message: /the disk is full/,
    })
    await assert.rejects(left, { code: 'ERR_TIMEOUT', message: /the disk is full/ })
    rig.haltedReason = null
    rig.write('c')
    await turn()
    assert.deepEqual(rig.commands, [['a'], ['c']])
  })

  test('what the engine gives up fails with its reason, and the next may leave', async (t) => {
    const rig = new Rig(t)
    const calls = ['a', 'b', 'c'].map(async (sql, i) => {
      for (let turns = 0; turns < i; turns += 1) await turn()
      return rig.write(sql)
    })
    for (const call of calls) call.catch(() => {})
    await turn()
    await turn()
    await turn()
    const error = {
      code: 'ERR_NO_LEADER',
      message: 'none',
      retryable: true,
      outcome: 'not-applied',
    } as const
    rig.writes.rejected({ kind: 'rejected', database: 'main', from: 1, to: 2, error })
    await assert.rejects(calls[0] as Promise<Written>, error)
    await assert.rejects(calls[1] as Promise<Written>, error)
    await turn()
    assert.deepEqual(rig.commands, [['a'], ['b'], ['c']])
  })

  test('an answer that comes twice, or for nothing, changes nothing', async (t) => {
    const rig = new Rig(t)
    const a = rig.write('a')
    await turn()
    rig.answer(7, [DONE])
    rig.answer(1, [DONE], 'other')
    rig.answer(1, [DONE])
    rig.answer(1, [DONE])
    assert.equal((await a).place.index, 101)
    assert.equal(rig.writes.pendingCount, 0)
  })

  test('what a snapshot jumped over has no answer, what comes after it has', async (t) => {
    const rig = new Rig(t)
    const a = rig.write('a')
    await turn()
    const b = rig.write('b')
    await turn()
    rig.writes.jumpedOver('main', 1)
    rig.writes.jumpedOver('unheard-of', 9)
    await assert.rejects(a, { code: 'ERR_RESULT_LOST', outcome: 'unknown' })
    rig.answer(2, [DONE])
    assert.equal((await b).place.index, 102)
  })
})

suite('writes that are given up', () => {
  test('one that never left is taken back', async (t) => {
    const rig = new Rig(t)
    const controller = new AbortController()
    rig.write('a')
    await turn()
    rig.write('b')
    await turn()
    const c = rig.write('c', { signal: controller.signal })
    rig.write('d')
    await turn()
    controller.abort(new Error('changed my mind'))
    await assert.rejects(c, (error: ColmenaError) => {
      assert.equal(error.code, 'ERR_ABORTED')
      assert.equal(error.outcome, 'not-applied')
      assert.equal((error.cause as Error).message, 'changed my mind')
      return true
    })
    rig.answer(1, [DONE])
    await turn()
    assert.deepEqual(rig.commands, [['a'], ['b'], ['d']])
    assert.deepEqual(rig.asked, [])
  })

  test('one that left is as the engine says, and keeps its slot', async (t) => {
    const rig = new Rig(t)
    rig.outcome = Promise.resolve({ outcome: 'committed', index: 42 })
    const controller = new AbortController()
    const a = rig.write('a', { signal: controller.signal })
    const b = rig.write('b', { signal: controller.signal })
    await turn()
    controller.abort()
    const committed = { code: 'ERR_ABORTED', outcome: 'committed', index: 42 }
    await assert.rejects(a, committed)
    await assert.rejects(b, committed)
    assert.deepEqual(rig.asked, ['main 1'])
    rig.write('c')
    await turn()
    rig.answer(1, [DONE, DONE])
    assert.deepEqual(
      rig.sent.map(({ sequence }) => sequence),
      [1, 2],
    )
  })

  test('an answer that comes while the engine is asked is the answer', async (t) => {
    const rig = new Rig(t)
    const asked = Promise.withResolvers<WriteOutcome>()
    rig.outcome = asked.promise
    const controller = new AbortController()
    const a = rig.write('a', { signal: controller.signal })
    await turn()
    controller.abort()
    rig.answer(1, [DONE])
    asked.resolve({ outcome: 'unknown' })
    assert.equal((await a).place.index, 101)
  })

  test('the deadline ends those that wait and those that left', async (t) => {
    const rig = new Rig(t, 30)
    const calls: Promise<Written>[] = []
    for (const sql of ['a', 'b', 'c']) {
      calls.push(rig.write(sql))
      await turn()
    }
    const [a, b, c] = calls
    await assert.rejects(a as Promise<Written>, { code: 'ERR_TIMEOUT', outcome: 'unknown' })
    await assert.rejects(b as Promise<Written>, { code: 'ERR_TIMEOUT', retryable: false })
    const taken = { code: 'ERR_TIMEOUT', outcome: 'not-applied', retryable: true }
    await assert.rejects(c as Promise<Written>, taken)
    rig.answer(1, [DONE])
    rig.answer(2, [DONE])
    await turn()
    assert.deepEqual(rig.commands, [['a'], ['b']])
    assert.equal(rig.writes.pendingCount, 0)
  })

  test('the end settles all, and tells what left from what did not', async (t) => {
    const rig = new Rig(t)
    const calls: Promise<Written>[] = []
    for (const sql of ['a', 'b', 'c']) {
      calls.push(rig.write(sql))
      await turn()
    }
    const drained = rig.writes.drained()
    const waiting = new ColmenaError('ERR_CLOSED', 'closed')
    const sent = new ColmenaError('ERR_CLOSED', 'closed', { outcome: 'unknown' })
    rig.writes.failAll(waiting, sent)
    const outcomes = await Promise.allSettled(calls)
    assert.deepEqual(
      outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.outcome),
      ['unknown', 'unknown', 'not-applied'],
    )
    await drained
  })
})
