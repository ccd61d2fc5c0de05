/** What processes show and tell is held against what they did: each rule is shown a breach. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SharedState } from '../../src/base/shared-state.ts'
import { createMessage } from '../../src/raft/raft.ts'
import { type AnyRule, Invariants } from './invariants.ts'
import type { SimulatedProcess } from './process.ts'

interface FakeRow {
  readonly index: number
  readonly text: string
}

/** As much of a process as the rules look at. */
function createProcess(name: string, rows: readonly FakeRow[] = []): SimulatedProcess {
  const written = rows.map(({ index, text }) => {
    return { database: 'main', text, whole: `${index}/${text}` }
  })
  const clock = { simulatedMs: (atMs: number) => atMs }
  const fake = { name, clock, shared: new SharedState(), running: null, rows: () => written }
  return fake as unknown as SimulatedProcess
}

function publishCommit(process: SimulatedProcess, commit: number): void {
  process.shared.publishEngine({ ...process.shared.readEngine(), commit })
}

const breaches: readonly (readonly [AnyRule, string, (invariants: Invariants) => void])[] = [
  [
    'published state',
    'a commit index that goes back',
    (invariants) => {
      const process = createProcess('n0')
      for (const commit of [2, 1]) {
        publishCommit(process, commit)
        invariants.stepped(process)
      }
    },
  ],
  [
    'published state',
    'a commit index that others hear of first',
    (invariants) => {
      const process = createProcess('n0')
      publishCommit(process, 1)
      const message = { ...createMessage('heartbeat', 1, 2), term: 1 }
      invariants.sent(process, { ...message, commit: 1 })
      invariants.sent(process, { ...message, commit: 2 })
    },
  ],
  [
    'state-machine safety',
    'two entries applied at one index',
    (invariants) => {
      for (const text of ['one', 'other']) {
        const entry = { index: 1, term: 1, type: 'normal', data: Buffer.from(text) } as const
        invariants.applied(createProcess(text), entry)
      }
    },
  ],
  [
    'strong reads',
    'a read that misses a write',
    (invariants) => invariants.strongRead(createProcess('n0'), 5, 4),
  ],
  [
    'weak reads',
    'a read that misses what its leader had committed',
    (invariants) => invariants.weakRead(5, 4),
  ],
  [
    'known age',
    'a node that takes its state for younger than it is',
    (invariants) => {
      const process = createProcess('n0')
      invariants.acknowledged('w1', 3)
      const mark = { index: 2, atMs: 1_001, wallMs: 1 }
      process.shared.publishMarks(mark, undefined)
      invariants.stepped(process)
    },
  ],
  [
    'durability',
    'an acknowledged write that is nowhere',
    (invariants) => {
      invariants.acknowledged('w1', 3)
      invariants.judge([createProcess('n0'), createProcess('n1')])
      assert.deepEqual(invariants.lostWrites, ['w1, acknowledged at 3, is missing on n0, n1'])
    },
  ],
  [
    'answers',
    'a write that is there twice',
    (invariants) => {
      const rows = [
        { index: 1, text: 'w1' },
        { index: 2, text: 'w1' },
      ]
      invariants.judge([createProcess('n0', rows)])
    },
  ],
  [
    'answers',
    'a refused write that is there',
    (invariants) => {
      invariants.rejected('w1')
      invariants.judge([createProcess('n0', [{ index: 1, text: 'w1' }])])
    },
  ],
  [
    'equal databases',
    'two nodes that differ',
    (invariants) => {
      invariants.judge([createProcess('n0'), createProcess('n1', [{ index: 1, text: 'w1' }])])
    },
  ],
  [
    'alarm',
    "a node's own word that it can't go on",
    (invariants) => invariants.alarmed(createProcess('n0'), 'ERR_LOG_CORRUPT'),
  ],
]

describe('the rules of lives', () => {
  for (const [rule, what, breach] of breaches) {
    it(`${rule}: find ${what}`, () => {
      const invariants = new Invariants([], () => 1_000)
      breach(invariants)
      assert.deepEqual(
        invariants.violations.map((violation) => violation.split(':')[0]),
        [rule],
      )
    })
  }

  it('are content with writes that are there once', () => {
    const invariants = new Invariants([], () => 1_000)
    invariants.acknowledged('w1', 1)
    const rows = [{ index: 1, text: 'w1' }]
    invariants.judge([createProcess('n0', rows), createProcess('n1', rows)])
    assert.deepEqual(invariants.violations, [])
    assert.deepEqual(invariants.lostWrites, [])
  })
})
