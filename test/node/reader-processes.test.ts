/** Who gets a reader process, who waits for one, and what ends it; no process is started here. */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { ColmenaError } from '../../src/base/errors.ts'
import { SharedState } from '../../src/base/shared-state.ts'
import type { ReaderAnswer, ReaderRequest } from '../../src/database/database.ts'
import { Deadlines } from '../../src/node/deadlines.ts'
import { readIsolated } from '../../src/node/isolated-reads.ts'
import type { NodeCore } from '../../src/node/node-core.ts'
import type { ReaderChildHandlers } from '../../src/node/reader-child.ts'
import { type IsolatedCall, ReaderProcesses } from '../../src/node/reader-processes.ts'

class FakeChild {
  readonly handlers: ReaderChildHandlers
  readonly requests: ReaderRequest[] = []
  isKilled = false

  constructor(handlers: ReaderChildHandlers) {
    this.handlers = handlers
  }

  send(request: ReaderRequest): void {
    this.requests.push(request)
  }

  kill(): void {
    this.isKilled = true
  }

  ready(): void {
    this.handlers.said({ kind: 'ready' })
  }

  answer(): void {
    this.handlers.said({ kind: 'rows', results: [], lastWrite: null })
  }
}

class Rig {
  readonly shared = new SharedState()
  readonly children: FakeChild[] = []
  readonly processes: ReaderProcesses

  constructor(t: TestContext, waitMs = 60_000) {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const deadlines = new Deadlines(waitMs, () => Number.POSITIVE_INFINITY)
    t.after(() => deadlines.close())
    this.generation(1)
    this.processes = new ReaderProcesses(
      { directory: 'db', extensions: [] },
      this.shared,
      deadlines,
      (_, handlers) => {
        const child = new FakeChild(handlers)
        this.children.push(child)
        return child
      },
    )
  }

  generation(generation: number): void {
    const rest = { applied: 0, databasesEpoch: 1, isDivergent: false, walBytes: 0 }
    this.shared.publishStorage({ generation, ...rest })
  }

  child(at: number): FakeChild {
    return this.children[at] as FakeChild
  }

  run(more: Partial<IsolatedCall> = {}): Promise<ReaderAnswer> {
    const answer = this.processes.run({
      asked: { database: 'main' },
      work: { kind: 'query', statements: [], resultBytesMax: 1 },
      timeoutMs: 1_000,
      timedOut: () => new ColmenaError('ERR_TIMEOUT', 'it ran for too long'),
      signal: undefined,
      ...more,
    })
    // Judged later, when the test looks at it.
    answer.catch(() => {})
    return answer
  }
}

suite('reader processes', () => {
  test('are as many as there is work for, four at most, and serve it in order', async (t) => {
    const rig = new Rig(t)
    const answers = Array.from({ length: 6 }, () => rig.run())
    assert.equal(rig.children.length, 4)
    for (const child of rig.children) child.ready()
    assert.deepEqual(
      rig.children.map(({ requests }) => requests.length),
      [1, 1, 1, 1],
    )
    rig.child(2).answer()
    await answers[2]
    assert.equal(rig.child(2).requests.length, 2)
    rig.child(2).answer()
    rig.child(2).answer()
    await Promise.all([answers[4], answers[5]])
    // What comes later goes to one that is idle.
    void rig.run()
    assert.equal(rig.children.length, 4)
    assert.equal(rig.child(2).requests.length, 4)
  })

  test('keep no more waiting than there is a bound for', async (t) => {
    const rig = new Rig(t)
    for (let i = 0; i < 256; i += 1) void rig.run()
    await assert.rejects(rig.run(), { code: 'ERR_BUSY', retryable: true })
    rig.child(0).ready()
    void rig.run()
    await assert.rejects(rig.run(), { code: 'ERR_BUSY' })
  })

  test('are waited for until the deadline of calls', async (t) => {
    const rig = new Rig(t, 500)
    const answer = rig.run()
    t.mock.timers.tick(500)
    await assert.rejects(answer, { code: 'ERR_TIMEOUT', retryable: true })
    rig.child(0).ready()
    assert.equal(rig.child(0).requests.length, 0)
  })

  test('are killed when their time is up, and another takes over', async (t) => {
    const rig = new Rig(t)
    const answer = rig.run()
    rig.child(0).ready()
    t.mock.timers.tick(1_000)
    assert.equal(rig.child(0).isKilled, true)
    // An answer that was on its way counts no more.
    rig.child(0).answer()
    rig.child(0).handlers.ended('SIGKILL')
    await assert.rejects(answer, { code: 'ERR_TIMEOUT', message: 'it ran for too long' })
    const next = rig.run()
    rig.child(1).ready()
    rig.child(1).answer()
    assert.equal((await next).kind, 'rows')
  })

  test('leave one to the short: the youngest of four long ends if another waits', async (t) => {
    const rig = new Rig(t)
    const long = Array.from({ length: 4 }, () => rig.run({ timeoutMs: 10_000 }))
    for (const child of rig.children) child.ready()
    t.mock.timers.tick(1_000)
    t.mock.timers.tick(4_000)
    const killed = (): boolean[] => rig.children.map(({ isKilled }) => isKilled)
    assert.deepEqual(killed(), [false, false, false, false], 'nobody waits')
    const short = rig.run()
    assert.deepEqual(killed(), [false, false, false, true])
    rig.child(3).handlers.ended('SIGKILL')
    await assert.rejects(long[3] as Promise<ReaderAnswer>, { code: 'ERR_BUSY', retryable: true })
    rig.child(4).ready()
    rig.child(4).answer()
    assert.equal((await short).kind, 'rows')
    // Who is there while others wait already may stay for as long as a short one.
    const next = rig.run({ timeoutMs: 10_000 })
    void rig.run()
    t.mock.timers.tick(999)
    assert.equal(rig.child(4).isKilled, false)
    t.mock.timers.tick(1)
    assert.equal(rig.child(4).isKilled, true)
    rig.child(4).handlers.ended('SIGKILL')
    await assert.rejects(next, { code: 'ERR_BUSY' })
    t.mock.timers.tick(4_000)
    assert.deepEqual(killed().slice(0, 3), [true, true, true], 'at their time')
  })

  test('make copies in three at most, and reads pass those that wait', async (t) => {
    const rig = new Rig(t)
    const work = { kind: 'copy', path: 'copy' } as const
    const copies = Array.from({ length: 4 }, () => rig.run({ work, timeoutMs: 100_000 }))
    for (const child of rig.children) child.ready()
    const requests = (): number[] => rig.children.map((child) => child.requests.length)
    assert.deepEqual(requests().sort(), [0, 1, 1, 1])
    const idle = rig.children.find((child) => child.requests.length === 0) as FakeChild
    const read = rig.run()
    idle.answer()
    assert.equal((await read).kind, 'rows')
    t.mock.timers.tick(5_000)
    assert.ok(rig.children.every(({ isKilled }) => !isKilled))
    rig.children.find((child) => child !== idle)?.answer()
    await Promise.any(copies)
    assert.equal(requests().filter((count) => count > 0).length, 4)
  })

  test('end when nobody needs them for a while', async (t) => {
    const rig = new Rig(t)
    const answer = rig.run()
    rig.child(0).ready()
    rig.child(0).answer()
    await answer
    t.mock.timers.tick(29_999)
    assert.equal(rig.child(0).isKilled, false)
    t.mock.timers.tick(1)
    assert.equal(rig.child(0).isKilled, true)
    void rig.run()
    assert.equal(rig.children.length, 2)
  })

  test('that die by themselves fail what they did, and no more', async (t) => {
    const rig = new Rig(t)
    const [first, second] = [rig.run(), rig.run()]
    rig.child(0).ready()
    rig.child(0).handlers.ended('SIGSEGV')
    const died = { code: 'ERR_FAILED', retryable: true, message: /SIGSEGV/ }
    await assert.rejects(first, died)
    // One that can't even start fails one call, and is tried again for the next.
    const third = rig.run()
    rig.child(1).handlers.ended('exit code 1')
    await assert.rejects(second, { code: 'ERR_FAILED', message: /exit code 1/ })
    rig.children.at(-1)?.ready()
    rig.children.at(-1)?.answer()
    assert.equal((await third).kind, 'rows')
  })

  test('are asked again where the files were replaced meanwhile', async (t) => {
    const rig = new Rig(t)
    const answer = rig.run()
    const child = rig.child(0)
    child.ready()
    rig.generation(2)
    child.answer()
    assert.deepEqual(
      child.requests.map(({ view }) => view.generation),
      [1, 2],
    )
    child.answer()
    await answer
  })

  test('are all killed by close, which waits for their end', async (t) => {
    const rig = new Rig(t)
    const calls = Array.from({ length: 5 }, () => rig.run())
    for (const child of rig.children) child.ready()
    let isClosed = false
    const closed = rig.processes.close(new ColmenaError('ERR_CLOSED', 'closed')).then(() => {
      isClosed = true
    })
    for (const call of calls) await assert.rejects(call, { code: 'ERR_CLOSED' })
    await assert.rejects(rig.run(), { code: 'ERR_CLOSED' })
    for (const child of rig.children) {
      assert.equal(child.isKilled, true)
      assert.equal(isClosed, false)
      child.handlers.ended('SIGKILL')
    }
    await closed
    assert.equal(rig.children.length, 4)
  })

  test('answer nothing from files that were found to differ meanwhile', async () => {
    const diverged = new ColmenaError('ERR_APPLY_HALTED', 'they differ')
    const core = {
      config: { statementTimeoutMs: 1 },
      processes: { run: async () => ({ kind: 'rows', results: [], lastWrite: null }) },
      get readers(): never {
        throw diverged
      },
    } as unknown as NodeCore
    const options = { asked: { database: 'main' }, signal: undefined }
    await assert.rejects(readIsolated(core, [], { index: 0, count: 1 }, options), diverged)
  })
})
