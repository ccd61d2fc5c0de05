/** Answers that are made as their client takes them, and clients that take nothing. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { createHandler } from '../../src/server/server.ts'
import { type Source, streamBody } from '../../src/server/streamed-body.ts'
import { openNode, pipelineOf, waitFor } from './rig.ts'

const IDLE_MS = 1_000

interface Watched {
  readonly body: ReadableStreamDefaultReader<Uint8Array>
  readonly ends: () => number
}

/** A body of ten bytes under a false clock. */
function watch(t: TestContext, change: Partial<Source> = {}): Watched {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let made = 0
  let ends = 0
  const source: Source = {
    next: async () => (made < 10 ? new Uint8Array([++made]) : undefined),
    end: async () => {
      ends += 1
    },
    ...change,
  }
  const call = {
    breakOff: (controller: ReadableStreamDefaultController, error: unknown) =>
      controller.error(error),
  }
  return { body: streamBody(source, call, IDLE_MS).getReader(), ends: () => ends }
}

describe('a streamed body', () => {
  it('goes to its end for a client that is slow, but moves', async (t) => {
    const { body, ends } = watch(t)
    for (let piece = 1; piece <= 10; piece += 1) {
      t.mock.timers.tick(IDLE_MS - 1)
      assert.deepEqual((await body.read()).value, new Uint8Array([piece]))
    }
    assert.equal((await body.read()).done, true)
    assert.equal(ends(), 1)
  })

  it('ends for a client that takes nothing, at the beginning or later', async (t) => {
    const { body, ends } = watch(t)
    await body.read()
    t.mock.timers.tick(IDLE_MS)
    await assert.rejects(body.read(), { code: 'ERR_TIMEOUT', message: /idleTimeoutMs/ })
    assert.equal(ends(), 1)
    t.mock.timers.reset()
    const other = watch(t)
    t.mock.timers.tick(IDLE_MS)
    await assert.rejects(other.body.read(), { code: 'ERR_TIMEOUT' })
    assert.equal(other.ends(), 1)
  })

  it('waits for what takes long to be made, which is not the fault of its client', async (t) => {
    const made = Promise.withResolvers<Uint8Array>()
    const { body, ends } = watch(t, { next: () => made.promise })
    const read = body.read()
    await Promise.resolve()
    t.mock.timers.tick(IDLE_MS * 10)
    made.resolve(new Uint8Array([7]))
    assert.deepEqual((await read).value, new Uint8Array([7]))
    await body.cancel()
    assert.equal(ends(), 1)
  })

  it('lets go once if it can not be made', async (t) => {
    const { body, ends } = watch(t, { next: () => Promise.reject(new Error('gone')) })
    await assert.rejects(body.read(), /gone/)
    t.mock.timers.tick(IDLE_MS)
    assert.equal(ends(), 1)
  })
})

describe('an export that nobody takes', () => {
  it('makes room for others, also in a server of the application', async (t) => {
    const node = await openNode(t)
    using handler = createHandler(node, { authorize: () => 'write', idleTimeoutMs: 100 })
    const ask = (path: string, init?: RequestInit): Promise<Response> =>
      handler.fetch(new Request(`http://localhost${path}`, init))
    const body = JSON.stringify(pipelineOf('CREATE TABLE t (a)'))
    await (await ask('/v2/pipeline', { method: 'POST', body })).json()
    const idle = await Promise.all([ask('/export/main'), ask('/export/main')])
    assert.deepEqual(
      idle.map(({ status }) => status),
      [200, 200],
    )
    // Room for both at once: as long as only one has ended, the other could still be taken whole.
    await waitFor('room', async () => {
      const answers = await Promise.all([ask('/export/main'), ask('/export/main')])
      await Promise.all(answers.map(({ body }) => body?.cancel()))
      return answers.every(({ status }) => status === 200)
    })
    for (const answer of idle) await assert.rejects(answer.bytes(), { code: 'ERR_TIMEOUT' })
  })
})
