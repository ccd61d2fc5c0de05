import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Message, MessageType } from '../../src/raft/types.ts'
import { decodeMessage, encodeMessage, isWireMessage } from '../../src/transport/transport.ts'

const TRAVELLING: readonly MessageType[] = [
  'propose',
  'append',
  'appendResponse',
  'vote',
  'voteResponse',
  'snapshot',
  'heartbeat',
  'heartbeatResponse',
  'transferLeader',
  'timeoutNow',
  'readIndex',
  'readIndexResponse',
  'preVote',
  'preVoteResponse',
]

/** Without the null prototypes that fast-check mixes in: a decoder makes plain objects. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true })
}

const u53 = fc.maxSafeNat()
const data = fc.uint8Array({ maxLength: 40 })
const members = fc.array(u53, { maxLength: 5 })
const entry = record({
  index: u53,
  term: u53,
  type: fc.constantFrom('normal', 'confChange', 'confChangeV2'),
  data,
})
const snapshot = record({
  meta: record({
    index: u53,
    term: u53,
    confState: record({
      voters: members,
      learners: members,
      votersOutgoing: members,
      learnersNext: members,
      autoLeave: fc.boolean(),
    }),
  }),
  data,
})

const message: fc.Arbitrary<Message> = record({
  type: fc.constantFrom(...TRAVELLING),
  from: u53,
  to: u53,
  term: u53,
  logTerm: u53,
  index: fc.nat(),
  commit: u53,
  vote: u53,
  reject: fc.boolean(),
  rejectHint: u53,
  entries: fc.array(entry, { maxLength: 4 }),
  snapshot,
  context: data,
  responses: fc.constant([]),
}).map((made) => ({
  ...made,
  snapshot: made.type === 'snapshot' ? made.snapshot : null,
  // An append's entries follow its index: the codec holds it to that.
  entries: made.entries.map((each, i) =>
    made.type === 'append' ? { ...each, index: made.index + 1 + i } : each,
  ),
}))

function join(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

function example(change: Partial<Message>): Message {
  return {
    type: 'append',
    from: 1,
    to: 2,
    term: 3,
    logTerm: 2,
    index: 10,
    commit: 9,
    vote: 0,
    reject: false,
    rejectHint: 0,
    entries: [],
    snapshot: null,
    context: new Uint8Array(0),
    responses: [],
    ...change,
  }
}

test('every message that travels comes out as it went in', () => {
  fc.assert(
    fc.property(message, (made) => {
      assert.deepEqual(decodeMessage(join(encodeMessage(made))), made)
    }),
    { numRuns: 1000 },
  )
})

test('bytes that were cut, changed or made up never throw, and cuts never decode', () => {
  fc.assert(
    fc.property(message, fc.nat(), fc.nat(255), (made, at, value) => {
      const bytes = join(encodeMessage(made))
      assert.equal(decodeMessage(bytes.slice(0, at % bytes.length)), null)
      assert.equal(decodeMessage(join([bytes, Uint8Array.of(value)])), null)
      bytes[at % bytes.length] = value
      decodeMessage(bytes)
    }),
    { numRuns: 2000 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      decodeMessage(bytes)
      decodeMessage(join([Uint8Array.of(1, 2, 0), bytes]))
    }),
    { numRuns: 2000 },
  )
})

test('entry data goes to the wire as the very same bytes', () => {
  const shared = crypto.getRandomValues(new Uint8Array(1000))
  const parts = encodeMessage(
    example({ entries: [{ index: 11, term: 3, type: 'normal', data: shared }] }),
  )
  assert.equal(parts[1], shared)
})

test('messages to oneself never leave, and are never taken from the network', () => {
  const local: readonly MessageType[] = [
    'hup',
    'beat',
    'unreachable',
    'snapshotStatus',
    'checkQuorum',
    'storageAppend',
    'storageAppendResponse',
    'storageApply',
    'storageApplyResponse',
    'forgetLeader',
  ]
  for (const type of local) {
    assert.equal(isWireMessage(type), false)
    assert.throws(() => encodeMessage(example({ type })), /never leaves/)
  }
  for (const type of TRAVELLING) assert.ok(isWireMessage(type))
  const bytes = join(encodeMessage(example({})))
  for (let code = 0; code < 256; code += 1) {
    bytes[1] = code
    const decoded = decodeMessage(bytes)
    if (decoded !== null) assert.ok(TRAVELLING.includes(decoded.type))
  }
})

test('numbers beyond 2^53, gaps between entries, and a future format are refused', () => {
  const good = join(encodeMessage(example({})))
  assert.notEqual(decodeMessage(good), null)
  const beyond = good.slice()
  // The term is the third number after format, type and flags.
  new DataView(beyond.buffer).setBigUint64(3 + 2 * 8, 2n ** 53n, true)
  assert.equal(decodeMessage(beyond), null)
  const gap = example({
    entries: [
      { index: 11, term: 3, type: 'normal', data: new Uint8Array(1) },
      { index: 13, term: 3, type: 'normal', data: new Uint8Array(1) },
    ],
  })
  assert.equal(decodeMessage(join(encodeMessage(gap))), null)
  const future = good.slice()
  future[0] = 2
  assert.equal(decodeMessage(future), null)
})

test('a snapshot travels in a snapshot message and nowhere else', () => {
  const bytes = join(encodeMessage(example({ type: 'snapshot' })))
  assert.equal(decodeMessage(bytes), null)
})
