/** A member that another one sends broken frames: its engine's parts take them, and go on. */
import fc from 'fast-check'
import { DecodeError } from '../../src/base/bytes.ts'
import { SharedState } from '../../src/base/shared-state.ts'
import { ClockSkew } from '../../src/engine/clock-skew.ts'
import { type FrameTakers, takeFrame } from '../../src/engine/frames.ts'
import { Freshness } from '../../src/engine/freshness.ts'
import { ReadRequests } from '../../src/engine/read-requests.ts'
import { encodeNumbers, FRAMES } from '../../src/engine/wire.ts'
import type { Raft } from '../../src/raft/raft.ts'
import { encodeMessage } from '../../src/transport/message.ts'
import { Cluster, confStateOf } from '../raft/cluster.ts'
import { gather } from './fields.ts'
import { breakBytes, type Mutation, mutations } from './mutations.ts'
import type { AnyTarget } from './target.ts'
import { raftMessage } from './transport-targets.ts'
import { data, record } from './values.ts'

/** The run that a member's clocks are of, so that marks count as answers to its own. */
const RUN = 7
const SENDER = 1
const RECEIVER = 2

/** Beyond what any log reaches, consensus looks at nothing else. */
const SMALL = { term: 1, index: 1, logTerm: 1, commit: 1, vote: 0, rejectHint: 0 } as const

interface Sent {
  readonly isLeader: boolean
  readonly frames: readonly {
    readonly kind: number
    readonly parts: readonly Uint8Array[]
    readonly changes: readonly Mutation[]
  }[]
}

const small = fc.nat(1_000)
const numbers = (count: number): fc.Arbitrary<readonly Uint8Array[]> =>
  fc
    .array(fc.oneof(small, fc.maxSafeNat()), { minLength: count, maxLength: count })
    .map((made) => [encodeNumbers(...made)])

const frame = fc.oneof(
  record({
    kind: fc.constant(FRAMES.raft as number),
    parts: raftMessage.map((made) =>
      encodeMessage({ ...made, from: SENDER, to: RECEIVER, ...SMALL, index: made.index % 4 }),
    ),
    changes: mutations,
  }),
  record({
    kind: fc.constant(FRAMES.raft as number),
    parts: fc
      .tuple(
        raftMessage,
        fc.oneof(
          numbers(1),
          numbers(2),
          data.map((made) => [made]),
        ),
      )
      .map(([made, [context]]) =>
        encodeMessage({
          ...made,
          type: 'readIndexResponse',
          snapshot: null,
          entries: [],
          context: context as Uint8Array,
          from: SENDER,
          to: RECEIVER,
          ...SMALL,
        }),
      ),
    changes: mutations,
  }),
  record({ kind: fc.constant(FRAMES.stamp as number), parts: numbers(4), changes: mutations }),
  record({
    kind: fc.constant(FRAMES.freshMark as number),
    parts: fc.tuple(numbers(5)).map(([[five]]) => {
      const bytes = new Uint8Array(48)
      bytes.set((five as Uint8Array).subarray(0, 8))
      bytes.set(encodeNumbers(RUN), 8)
      bytes.set((five as Uint8Array).subarray(8), 16)
      return [bytes]
    }),
    changes: mutations,
  }),
  record({
    kind: fc.constant(FRAMES.commitQuery as number),
    parts: numbers(1),
    changes: mutations,
  }),
  record({
    kind: fc.constant(FRAMES.commitAnswer as number),
    parts: numbers(3),
    changes: mutations,
  }),
)

const sent: fc.Arbitrary<Sent> = record({
  isLeader: fc.boolean(),
  frames: fc.array(frame, { minLength: 1, maxLength: 6 }),
})

function checkMember({ isLeader, frames }: Sent): void {
  const cluster = new Cluster(confStateOf([1, 2, 3]), { preVote: false })
  cluster.elect(isLeader ? RECEIVER : SENDER)
  const raft = cluster.raft(RECEIVER)
  const parts = makeParts(raft)
  for (const { kind, parts: made, changes } of frames) {
    const { bytes, fields } = gather(made)
    try {
      takeFrame(parts, SENDER, kind, breakBytes(bytes, bytes, changes, fields))
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
    }
    // A turn of the engine, with the ticks of a heartbeat.
    for (let tick = 0; tick < 3; tick += 1) {
      raft.tick()
      parts.reads.tick()
      parts.freshness.tick()
    }
    const { readStates } = raft.takeReady()
    parts.reads.readStates(parts.freshness.takeConfirmed(readStates))
    parts.reads.answerQueries()
    parts.freshness.publish()
  }
}

function makeParts(raft: Raft): FrameTakers {
  const shared = new SharedState()
  let atMs = 1_000
  const clock = { nowMs: () => (atMs += 1), wallMs: () => 50_000 + atMs, setTimer: () => () => {} }
  const random = { u32: () => RUN }
  const sendControl = (): boolean => true
  const skew = new ClockSkew({
    raft,
    voters: () => [1, 2, 3],
    maxClockSkewMs: 5_000,
    warning: () => {},
  })
  const reads = new ReadRequests({
    raft,
    clock,
    random,
    electionTimeoutMs: 1_000,
    leaderWaitMs: 2_000,
    askAgainMs: 500,
    requestTimeoutMs: 10_000,
    sendControl,
    answer: () => {},
  })
  const freshness = new Freshness({ raft, clock, random, shared, skew, sendControl })
  const others = { amnesia: { isForgetful: () => false }, terms: { heard: () => {} } }
  return { raft, reads, freshness, ...others } as unknown as FrameTakers
}

const STRANGE_READ = encodeMessage({
  type: 'readIndexResponse',
  from: SENDER,
  to: RECEIVER,
  ...SMALL,
  reject: false,
  snapshot: null,
  entries: [{ index: 0, term: 0, type: 'normal', data: new Uint8Array(3) }],
  context: new Uint8Array(0),
  responses: [],
})

export const memberTargets: readonly AnyTarget[] = [
  {
    name: 'engine.member',
    runs: 400,
    input: sent,
    // An answer to a read under a name that this engine never gave.
    examples: [
      { isLeader: false, frames: [{ kind: FRAMES.raft, parts: STRANGE_READ, changes: [] }] },
    ],
    check: checkMember,
  },
]
