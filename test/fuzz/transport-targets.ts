/** What a transport reads off its sockets, codec by codec. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { ColmenaError } from '../../src/base/errors.ts'
import type { Message, MessageType } from '../../src/raft/types.ts'
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  type Request,
  type Response,
} from '../../src/transport/call-wire.ts'
import {
  encodeFrameHeader,
  type Frame,
  FrameError,
  FrameReader,
} from '../../src/transport/frame.ts'
import {
  decodeHello,
  decodeRefusal,
  encodeHello,
  encodeRefusal,
  type Hello,
} from '../../src/transport/hello.ts'
import { decodeMessage, encodeMessage } from '../../src/transport/message.ts'
import type { Refusal, SnapshotFile, SnapshotManifest } from '../../src/transport/port.ts'
import {
  type Chunk,
  decodeChunk,
  decodeFailure,
  decodeHave,
  decodeManifest,
  encodeChunk,
  encodeFailure,
  encodeHave,
  encodeManifest,
} from '../../src/transport/snapshot-wire.ts'
import { breakBytes, join, type Mutation, mutations } from './mutations.ts'
import {
  type AnyTarget,
  boundAllocation,
  codecTarget,
  describe,
  isDecodeRefusal,
} from './target.ts'
import { confState, data, record, text, u32, u53 } from './values.ts'

const code = fc.constantFrom('ERR_BUSY', 'ERR_HANDSHAKE', 'ERR_FAILED', 'ERR_OF_TOMORROW')
const nonce = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length })

const hello: fc.Arbitrary<Hello> = record({
  identity: record({
    clusterId: nonce(16),
    bootNonce: nonce(8),
    memberId: u53,
    incarnation: u53,
    formatMin: u32,
    formatMax: u32,
    nodeId: text,
    address: text,
    fingerprint: text,
  }),
  purpose: fc.constantFrom('control', 'bulk', 'call', 'snapshot'),
  expects: u53,
})

const refusal = record({ code, message: text }) as fc.Arbitrary<Refusal>

const failure = fc
  .tuple(code, text, fc.boolean(), fc.constantFrom('not-applied', 'committed', 'unknown'), u53)
  .map(
    ([name, message, retryable, outcome, index]) =>
      new ColmenaError(name as 'ERR_BUSY', message, { retryable, outcome, index }),
  )

const request: fc.Arbitrary<Request> = record({ id: u32, kind: fc.nat(255), body: data })
const response: fc.Arbitrary<Response> = fc.oneof(
  record<Response>({ id: u32, error: fc.constant(null), body: data }),
  record<Response>({ id: u32, error: failure, body: fc.constant(new Uint8Array(0)) }),
)

const file: fc.Arbitrary<SnapshotFile> = record({
  name: fc.stringMatching(/^[a-z0-9_-][a-z0-9_.-]{0,20}$/),
  sizeBytes: u53,
  sha256: nonce(32),
})
const files = fc.uniqueArray(file, { selector: ({ name }) => name, maxLength: 5 })
const manifest: fc.Arbitrary<SnapshotManifest> = record({
  id: nonce(16),
  index: u53,
  term: u53,
  extra: data,
  files,
})
const OFFERED: readonly SnapshotFile[] = [10, 2 ** 40, 0].map((sizeBytes, at) => ({
  name: `${at}.db`,
  sizeBytes,
  sha256: new Uint8Array(32),
}))
const have = fc.tuple(fc.nat(10), fc.nat(2 ** 40), fc.constant(0)) as fc.Arbitrary<
  readonly number[]
>
const chunk: fc.Arbitrary<Chunk> = record({ file: u32, offsetBytes: u53, data })

const MESSAGE_TYPES: readonly MessageType[] = [
  'propose',
  'append',
  'append',
  'append',
  'appendResponse',
  'vote',
  'voteResponse',
  'snapshot',
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
const entry = record({
  index: u53,
  term: u53,
  type: fc.constantFrom('normal', 'confChange', 'confChangeV2'),
  data,
})
export const raftMessage: fc.Arbitrary<Message> = record({
  type: fc.constantFrom(...MESSAGE_TYPES),
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
  snapshot: record({ meta: record({ index: u53, term: u53, confState }), data }),
  context: data,
  responses: fc.constant([]),
}).map((made) => ({
  ...made,
  snapshot: made.type === 'snapshot' ? made.snapshot : null,
  entries: made.entries.map((each, at) =>
    made.type === 'append' ? { ...each, index: made.index + 1 + at } : each,
  ),
})) as fc.Arbitrary<Message>

const FRAME_BODY_BYTES_MAX = 300
const frames = fc.array(record<Frame>({ kind: fc.nat(255), body: data }), {
  minLength: 1,
  maxLength: 4,
})

interface FrameStream {
  readonly frames: readonly Frame[]
  readonly changes: readonly Mutation[]
  /** How the stream falls into chunks. */
  readonly cuts: readonly number[]
}

/** What was sent comes out in its order until the first byte that is not what was sent. */
function checkStream({ frames: sent, changes, cuts }: FrameStream): void {
  const stream = join(...sent.map(encodeFrame))
  const broken = breakBytes(stream, stream, changes)
  const same = firstDifference(stream, broken)
  const read = boundAllocation(broken.length, undefined, describe(broken), () =>
    readStream(broken, cuts),
  )
  const again = join(...read.map(encodeFrame))
  assert.deepEqual(again, broken.subarray(0, again.length), 'frames are what the stream says')
  let whole = 0
  for (let at = 0; at < sent.length; at += 1) {
    const end = whole + 9 + (sent[at] as Frame).body.length
    if (end > same) break
    assert.deepEqual(read[at], sent[at], 'what came whole before the damage counts')
    whole = end
  }
}

function readStream(bytes: Uint8Array, cuts: readonly number[]): readonly Frame[] {
  const reader = new FrameReader(FRAME_BODY_BYTES_MAX)
  const read: Frame[] = []
  try {
    for (let at = 0, i = 0; at < bytes.length; i += 1) {
      const end = at + (cuts[i % cuts.length] as number)
      reader.push(Buffer.from(bytes.slice(at, end)))
      at = end
      for (let frame = reader.next(); frame !== null; frame = reader.next()) read.push(frame)
    }
  } catch (error) {
    if (!(error instanceof FrameError)) throw error
  }
  return read
}

function encodeFrame({ kind, body }: Frame): Buffer {
  return Buffer.concat([encodeFrameHeader(kind, [body]), body])
}

function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const at = a.findIndex((byte, i) => byte !== b[i])
  return at < 0 ? a.length : at
}

class NoMessage extends Error {}

export const transportTargets: readonly AnyTarget[] = [
  {
    name: 'transport.frames',
    runs: 1_000,
    input: record<FrameStream>({
      frames,
      changes: mutations,
      cuts: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 }),
    }),
    check: checkStream,
  },
  codecTarget<Hello | Refusal>({
    name: 'transport.hello',
    value: hello,
    encode: (made) => ('code' in made ? encodeRefusal(made) : encodeHello(made)),
    decode: (bytes) => {
      const made = decodeHello(bytes)
      // Of another version: whatever it says, it is refused by that.
      if ('code' in made) throw new ColmenaError(made.code, made.message)
      return made
    },
  }),
  codecTarget({
    name: 'transport.refusal',
    value: refusal,
    encode: encodeRefusal,
    decode: decodeRefusal,
  }),
  codecTarget<Message>({
    name: 'transport.message',
    runs: 2_000,
    value: raftMessage,
    encode: encodeMessage,
    decode: (bytes) => {
      const message = decodeMessage(bytes)
      if (message === null) throw new NoMessage()
      return message
    },
    isRefusal: (error) => error instanceof NoMessage,
  }),
  codecTarget({
    name: 'transport.request',
    runs: 300,
    value: request,
    encode: encodeRequest,
    decode: decodeRequest,
  }),
  codecTarget({
    name: 'transport.response',
    value: response,
    encode: encodeResponse,
    decode: decodeResponse,
    isRefusal: isDecodeRefusal,
  }),
  codecTarget({
    name: 'transport.manifest',
    value: manifest,
    encode: encodeManifest,
    decode: decodeManifest,
  }),
  codecTarget<readonly number[]>({
    name: 'transport.have',
    runs: 500,
    value: have,
    encode: encodeHave,
    decode: (bytes) => decodeHave(bytes, OFFERED),
  }),
  codecTarget({
    name: 'transport.chunk',
    runs: 300,
    value: chunk,
    encode: encodeChunk,
    decode: decodeChunk,
  }),
  codecTarget({
    name: 'transport.failure',
    runs: 500,
    value: failure.map(({ code: name, message, retryable }) => {
      return new ColmenaError(name, message, { retryable })
    }),
    encode: encodeFailure,
    decode: decodeFailure,
  }),
]
