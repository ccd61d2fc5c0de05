import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import { SharedState } from '../../src/base/shared-state.ts'
import {
  Engine,
  type EngineConfig,
  type EngineStatus,
  type EngineToUser,
} from '../../src/engine/engine.ts'
import { SimulatedDisk } from '../simulated/disk.ts'
import { SeededRandom } from '../simulated/random.ts'
import { SqliteMachine } from '../simulated/sqlite-machine.ts'
import { Timeline } from '../simulated/timeline.ts'

const CONFIG: EngineConfig = {
  nodeId: 'alone',
  memberId: 1,
  clusterId: 'c0'.repeat(16),
  incarnation: 1,
  origin: 'ab'.repeat(16),
  isEstablished: false,
  genesis: 'bootstrap',
  dataDir: '',
  bind: null,
  advertise: '',
  joinAddresses: [],
  hasJoinSource: false,
  forming: null,
  rejoins: false,
  joinAs: 'voter',
  joinTimeoutMs: 60_000,
  security: { kind: 'plaintext' },
  heartbeatMs: 100,
  electionTimeoutMs: 1_000,
  promiseMs: 0,
  keptPromiseMs: 0,
  requestTimeoutMs: 10_000,
  transactionIdleMs: 5_000,
  transactionMs: 10_000,
  maxClockSkewMs: 5_000,
  durability: 'full',
  uncleanStop: null,
  logRetainBytes: 8 * 1024,
  fingerprint: 'simulated',
  segmentBytes: 8 * 1024,
  snapshotBytesPerSecond: 40 * 1024 * 1024,
  isDebugging: false,
}

interface Alone {
  readonly engine: Engine
  readonly timeline: Timeline
  readonly shared: SharedState
  /** What it told its user. */
  readonly told: EngineToUser[]
}

/** An engine without peers; `handOut` sees what it hands to its databases. */
function startAlone(
  t: TestContext,
  handOut: (shared: SharedState, lastIndex: number) => void,
): Alone {
  const timeline = new Timeline()
  const random = new SeededRandom(1)
  const shared = new SharedState()
  const told: EngineToUser[] = []
  const disk = new SimulatedDisk({
    random: random.stream('disk'),
    schedule: (_operation, complete) => timeline.plan(1, complete),
  })
  const machine = new SqliteMachine({ random, isTormented: () => false, killed: () => {} })
  t.after(() => machine.dispose())
  const engine = new Engine(CONFIG, {
    clock: {
      nowMs: () => timeline.nowMs,
      wallMs: () => 1_700_000_000_000 + timeline.nowMs,
      setTimer: (delayMs, fire) => timeline.plan(delayMs, fire),
    },
    random: random.stream('engine'),
    disk,
    shared,
    defer: (turn) => timeline.plan(0, turn),
    toUser: (message) => {
      told.push(message)
      if (message.kind === 'clusterFound') engine.receive({ kind: 'clusterKept' })
    },
    openApplier: (generation, genesis, handlers) => {
      const options = {
        memberId: CONFIG.memberId,
        ownOrigin: CONFIG.origin,
        shared,
        random: random.stream('applier'),
        nowMs: () => timeline.nowMs,
        plan: (delayMs: number, run: () => void) => timeline.plan(delayMs, run),
        saw: () => {},
        answered: () => {},
        installed: () => {},
      }
      const storage = machine.open(options, generation, genesis, handlers)
      const apply = storage.apply.bind(storage)
      storage.apply = (entries) => {
        handOut(shared, entries.at(-1)?.index ?? 0)
        apply(entries)
      }
      return storage
    },
    openNetwork: () => assert.fail('a node alone opens no network'),
  })
  engine.start()
  return { engine, timeline, shared, told }
}

it('a commit is published before anybody is handed what it commits', (t) => {
  const seen: { readonly handedOut: number; readonly commit: number; readonly ownTerm: boolean }[] =
    []
  const { timeline } = startAlone(t, (shared, handedOut) => {
    const { commit, ownTermCommitted } = shared.readEngine()
    seen.push({ handedOut, commit, ownTerm: ownTermCommitted })
  })
  while (seen.length < 2 && timeline.nowMs < 60_000) assert.ok(timeline.step())
  // The leader's own first entry, then the origin that it registers.
  assert.ok(seen.length >= 2, 'nothing was committed')
  for (const { handedOut, commit, ownTerm } of seen) {
    assert.ok(commit >= handedOut, `${handedOut} is handed out while ${commit} is published`)
    assert.ok(ownTerm, 'the entry of its own term is not published as committed')
  }
})

it('a node is registered once the entry that says so is applied, and not before', (t) => {
  const { engine, timeline, shared, told } = startAlone(t, () => {})
  const isRegistered = (): boolean => {
    engine.receive({ kind: 'request', id: 1, request: { method: 'status' } })
    const reply = told.findLast((message) => message.kind === 'reply')
    assert.ok(reply !== undefined)
    return (reply.value as EngineStatus).isRegistered
  }
  // The genesis is entry 1, the leader's own first entry 2, the origin that it registers 3.
  while (shared.applied() < 2 && timeline.nowMs < 60_000) assert.ok(timeline.step())
  assert.equal(shared.readEngine().isLeader, true)
  assert.equal(isRegistered(), false)
  while (!isRegistered() && timeline.nowMs < 60_000) assert.ok(timeline.step())
  assert.equal(isRegistered(), true)
  assert.equal(shared.applied(), 3)
})
