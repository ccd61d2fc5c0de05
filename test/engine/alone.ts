import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { SharedState } from '../../src/base/shared-state.ts'
import {
  Engine,
  type EngineConfig,
  type EnginePorts,
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

export interface Alone {
  readonly engine: Engine
  readonly timeline: Timeline
  readonly shared: SharedState
  /** What it told its user. */
  readonly told: EngineToUser[]
}

export interface AloneOptions {
  /** Sees what it hands to its databases. */
  readonly handOut?: (shared: SharedState, lastIndex: number) => void
  /** It has none without. */
  readonly openNetwork?: EnginePorts['openNetwork'] | null
}

/** An engine that is the only member of its cluster. */
export function startAlone(
  t: TestContext,
  { handOut = () => {}, openNetwork = null }: AloneOptions = {},
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
  const bind = openNetwork === null ? null : { host: '127.0.0.1', port: 1 }
  const engine = new Engine(
    { ...CONFIG, bind },
    {
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
      openNetwork: openNetwork ?? (() => assert.fail('a node alone opens no network')),
    },
  )
  engine.start()
  return { engine, timeline, shared, told }
}
