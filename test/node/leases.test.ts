/** How a node asks for leases, against a log that the test speaks for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type LeaseAnswer,
  type LeaseRequest,
  leaseRequest,
  leaseResult,
} from '../../src/command/command.ts'
import { Leases } from '../../src/node/leases.ts'
import type { Written } from '../../src/node/write-call.ts'
import type { WriteRequest } from '../../src/node/writes.ts'
import { until } from '../processes/wait.ts'

interface Asked {
  readonly request: LeaseRequest
  readonly answer: (answer: LeaseAnswer) => void
  readonly fail: (error: Error) => void
}

class Rig {
  readonly asked: Asked[] = []
  readonly leases: Leases = new Leases({
    writes: { submit: (request) => this.#submit(request) },
    nowMs: () => performance.now(),
    checkOpen: () => {},
  })

  /** The next request that was not looked at yet. */
  async next(what: LeaseRequest['what']): Promise<Asked> {
    const asked = await until(`a request to ${what}`, () => this.asked.shift())
    assert.equal(asked.request.what, what)
    return asked
  }

  #submit({ unit, database }: WriteRequest): Promise<Written> {
    assert.equal(database, 'system')
    const { promise, resolve, reject } = Promise.withResolvers<Written>()
    this.asked.push({
      request: leaseRequest(unit),
      answer: (answer) => {
        const result = leaseResult(answer)
        const timing = { committedMs: 0, appliedMs: 0 }
        if (result.ok) resolve({ place: { index: 1, term: 1, timing }, ...result })
      },
      fail: reject,
    })
    return promise
  }
}

const WANTED = { ttlMs: 60_000, waitMs: 60_000, signal: undefined }
const HELD = { what: 'held', token: 1 } as const

function busy(leftMs: number): LeaseAnswer {
  return { what: 'busy', nodeId: 'other', leftMs }
}

test('a lease that comes when its caller has gone is released', async () => {
  const rig = new Rig()
  const giving = new AbortController()
  const asked = rig.leases.lock('a', { ...WANTED, signal: giving.signal })
  const { answer } = await rig.next('acquire')
  giving.abort()
  await assert.rejects(asked, { code: 'ERR_ABORTED' })
  answer(HELD)
  assert.deepEqual((await rig.next('release')).request, { what: 'release', token: 1 })
})

test('who waits asks again when the lease is due, though nobody tells of its end', async () => {
  const rig = new Rig()
  const asked = rig.leases.lock('a', WANTED)
  ;(await rig.next('acquire')).answer(busy(1))
  ;(await rig.next('acquire')).answer(HELD)
  assert.equal((await asked).token, 1)
})

test('who waits asks again when the lease ended, or may have while nothing was told', async () => {
  const rig = new Rig()
  const asked = rig.leases.lock('a', WANTED)
  const first = await rig.next('acquire')
  // Before the answer is here, but after what it speaks of.
  rig.leases.ended(['lock/b', 'lock/a'])
  first.answer(busy(60_000))
  ;(await rig.next('acquire')).answer(busy(60_000))
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(rig.asked, [])
  rig.leases.wakeAll()
  ;(await rig.next('acquire')).answer(HELD)
  assert.equal((await asked).token, 1)
})

test('one caller of a node asks at a time, and no more than may wait do', async () => {
  const rig = new Rig()
  const giving = new AbortController()
  const wanted = { ...WANTED, signal: giving.signal }
  const all = Array.from({ length: 1024 }, () => rig.leases.lock('a', wanted))
  await assert.rejects(rig.leases.lock('a', WANTED), { code: 'ERR_BUSY', retryable: true })
  const failed = new Error('given up')
  for (const call of all.splice(0, 3)) {
    const { fail } = await rig.next('acquire')
    assert.deepEqual(rig.asked, [])
    fail(failed)
    await assert.rejects(call, failed)
  }
  await rig.next('acquire')
  giving.abort()
  for (const call of all) await assert.rejects(call, { code: 'ERR_ABORTED' })
  assert.deepEqual(rig.asked, [])
})

test('a lock that is not renewed in time is lost, and says so', async () => {
  const rig = new Rig()
  const asked = rig.leases.lock('a', { ...WANTED, ttlMs: 1_000 })
  ;(await rig.next('acquire')).answer(HELD)
  const lock = await asked
  ;(await rig.next('renew')).fail(new Error('no leader'))
  await until('the lock is lost', () => lock.signal.aborted)
  assert.equal(lock.isHeld, false)
  assert.equal(lock.signal.reason.code, 'ERR_FENCED')
  assert.equal(await lock.release(), false)
})

test('a lock that had ended when it was renewed is lost at once', async () => {
  const rig = new Rig()
  const asked = rig.leases.lock('a', { ...WANTED, ttlMs: 3000 })
  ;(await rig.next('acquire')).answer(HELD)
  const lock = await asked
  ;(await rig.next('renew')).answer({ what: 'ended' })
  await until('the lock is lost', () => !lock.isHeld)
  assert.match(lock.signal.reason.message, /had ended when it was renewed/)
})
