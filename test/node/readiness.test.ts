import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Histogram } from '../../src/base/histogram.ts'
import { SharedState } from '../../src/base/shared-state.ts'
import type { EngineStatus, EngineWorkerData } from '../../src/engine/engine.ts'
import { open } from '../../src/index.ts'
import type { NodeStatus } from '../../src/node/node.ts'
import { APPLY_LAG_MS_MAX } from '../../src/node/readiness.ts'
import { openFake } from './fake-node.ts'
import { temporaryDirectory } from './temporary.ts'

const ELECTION_TIMEOUT_MS = 1_000
const FOLLOWER: EngineStatus = {
  role: 'follower',
  isLearner: false,
  term: 3,
  leader: { id: 'a', address: '127.0.0.1:7001' },
  lastIndex: 9,
  commitIndex: 9,
  appliedIndex: 9,
  compactedIndex: 0,
  lastLeaderContactMs: 20,
  isRegistered: true,
  durability: { mode: 'full', unsyncedEntries: 0 },
  isLogFull: false,
  logBytes: 100,
  forwards: 0,
  elections: 1,
  snapshotsSent: 0,
  snapshotsReceived: 0,
  terms: [],
  engineMix: 'uniform',
  slowApply: null,
  slowTransaction: null,
  format: { local: 1, effective: 1, behind: [] },
  divergence: { reason: null, undecided: null, found: 0, reinstalls: 0 },
  clock: { skewMs: null, isOff: false },
  certificateEndsMs: null,
}

/** A follower that is ready, whose threads then say whatever a test wants. */
async function openFollower(t: TestContext): Promise<{
  readonly status: (change?: Partial<EngineStatus>) => Promise<NodeStatus>
  readonly lagBy: (applyLagMs: number) => void
  readonly halt: (reason: string | null) => void
  readonly write: () => Promise<unknown>
}> {
  const { node, engine, storage } = await openFake(t, { electionTimeoutMs: ELECTION_TIMEOUT_MS })
  const shared = new SharedState((engine.data as EngineWorkerData).shared)
  let answer = FOLLOWER
  engine.answers.set('request', (message) => {
    if (message.kind !== 'request') return
    engine.say({ kind: 'reply', id: message.id, error: null, value: answer })
  })
  storage.answers.set('status', (message) => {
    const { id } = message as unknown as { readonly id: number }
    const apply = { entries: 0, groupMs: new Histogram().value() }
    storage.say({ kind: 'status', id, status: { databases: [], clockMs: 0, apply } })
  })
  return {
    status: (change = {}) => {
      answer = { ...FOLLOWER, ...change }
      return node.status()
    },
    lagBy: (applyLagMs) => shared.publishEngine({ ...shared.readEngine(), applyLagMs }),
    halt: (reason) => storage.say({ kind: 'halted', reason }),
    write: () => node.database().execute('CREATE TABLE t (a)'),
  }
}

function assertNotReady({ ready, notReadyReason }: NodeStatus, reason: RegExp): void {
  assert.equal(ready, false)
  assert.match(notReadyReason ?? '', reason)
}

test('a follower that hears its leader and keeps up is ready', async (t) => {
  const { status } = await openFollower(t)
  const { ready, notReadyReason } = await status()
  assert.deepEqual({ ready, notReadyReason }, { ready: true, notReadyReason: null })
})

test('a node is ready as long as it takes writes: the bound of its lag is the same', async (t) => {
  const { status, lagBy, write } = await openFollower(t)
  lagBy(APPLY_LAG_MS_MAX)
  assert.equal((await status()).ready, true)
  lagBy(APPLY_LAG_MS_MAX + 1)
  assertNotReady(await status(), /10 s behind the cluster/)
  await assert.rejects(write(), { code: 'ERR_LAGGING', message: /10 s behind the cluster/ })
})

test('a node that applies nothing is not ready, and is again once it goes on', async (t) => {
  const { status, halt, write } = await openFollower(t)
  halt('the disk is full')
  assertNotReady(await status(), /the disk is full/)
  await assert.rejects(write(), { code: 'ERR_APPLY_HALTED', message: /the disk is full/ })
  halt('another program wrote')
  assertNotReady(await status(), /another program wrote/)
  halt(null)
  assert.equal((await status()).ready, true)
})

test('a node without a leader that it hears is not ready', async (t) => {
  const { status } = await openFollower(t)
  assertNotReady(await status({ leader: null }), /no leader/)
  assertNotReady(await status({ lastLeaderContactMs: null }), /was not heard/)
  const late = ELECTION_TIMEOUT_MS + 1
  assertNotReady(await status({ lastLeaderContactMs: late }), /leader, a, was not heard/)
  assert.equal((await status({ lastLeaderContactMs: ELECTION_TIMEOUT_MS })).ready, true)
})

test('a node whose disk takes no more log is not ready', async (t) => {
  const { status } = await openFollower(t)
  assertNotReady(await status({ isLogFull: true }), /no room for more log/)
})

test('a node that has not registered, as after a first join, is not ready', async (t) => {
  const { status } = await openFollower(t)
  assertNotReady(await status({ isRegistered: false }), /only just started or joined/)
})

test('a real node is ready once it has answered a write', async (t) => {
  const node = await open({ dataDir: temporaryDirectory(t) })
  t.after(() => node.close())
  await node.database().execute('CREATE TABLE t (a)')
  const { ready, notReadyReason } = await node.status()
  assert.deepEqual({ ready, notReadyReason }, { ready: true, notReadyReason: null })
})
