/** What engines say to each other in frames and calls, and what travels between their users. */
import fc from 'fast-check'
import { DecodeError } from '../../src/base/bytes.ts'
import { ColmenaError } from '../../src/base/errors.ts'
import { decodeJson, encodeJson } from '../../src/base/json-values.ts'
import { decodeConfState, encodeConfState } from '../../src/database/conf-state.ts'
import { decodeEntries, encodeEntries } from '../../src/database/storage-protocol.ts'
import {
  decodeHashQuestion,
  decodeHashResult,
  decodeTable,
  encodeHashQuestion,
  encodeHashResult,
  encodeTable,
  type HashQuestion,
  type HashResult,
  type Table,
} from '../../src/engine/comparing-wire.ts'
import type { Seeker, Stance } from '../../src/engine/forming.ts'
import {
  decodeLeaderAnswer,
  decodeMeetAnswer,
  decodeMemberChange,
  decodeNumbers,
  decodeRefusal,
  decodeSeeker,
  decodeTrialName,
  decodeTrialStep,
  encodeLeaderAnswer,
  encodeMeetAnswer,
  encodeMemberChange,
  encodeNumbers,
  encodeRefusal,
  encodeSeeker,
  encodeTrialName,
  encodeTrialStep,
  type LeaderAnswer,
  type MeetAnswer,
} from '../../src/engine/wire.ts'
import {
  decodeAnswer,
  decodeCall,
  encodeAnswer,
  encodeCall,
  type ForwardCall,
} from '../../src/node/forward-wire.ts'
import { decodeError, encodeError } from '../../src/node/handler-errors.ts'
import { type ConfChange, decodeConfChange, encodeConfChange } from '../../src/raft/raft.ts'
import type { Entry } from '../../src/raft/types.ts'
import { type AnyTarget, codecTarget } from './target.ts'
import { confState, data, hex32, record, text, u32, u53 } from './values.ts'

const held = fc
  .array(fc.tuple(text, text), { maxLength: 3 })
  .map((pairs): ReadonlyMap<string, string> => new Map(pairs))
const table: fc.Arbitrary<Table> = record({
  kind: fc.constantFrom('digest', 'content'),
  index: u53,
  rows: fc.array(fc.tuple(u53, held), { maxLength: 3 }).map((rows) => new Map(rows)),
})
const hashResult = fc.oneof(
  fc.constant(null),
  record({ index: u53, held: fc.oneof(fc.constant(null), held), error: text }),
) as fc.Arbitrary<HashResult>
const leaderAnswer = fc.oneof(
  record<LeaderAnswer>({ kind: fc.constant('done') }),
  record<LeaderAnswer>({ kind: fc.constant('elsewhere'), address: text }),
  fc
    .tuple(fc.constantFrom('ERR_BUSY', 'ERR_FAILED'), text, fc.boolean())
    .map(([code, message, retryable]): LeaderAnswer => {
      return { kind: 'refused', error: new ColmenaError(code, message, { retryable }) }
    }),
)
const confChange: fc.Arbitrary<ConfChange> = record({
  transition: fc.constantFrom('auto', 'jointImplicit', 'jointExplicit'),
  changes: fc.array(
    record({
      type: fc.constantFrom('addNode', 'removeNode', 'updateNode', 'addLearner'),
      id: u53,
    }),
    { maxLength: 4 },
  ),
  context: data,
}) as fc.Arbitrary<ConfChange>
const entries = fc.array(
  record<Entry>({
    index: u53,
    term: u53,
    type: fc.constantFrom('normal', 'confChange', 'confChangeV2'),
    data,
  }),
  { maxLength: 4 },
)

const JSON_BOUNDS = { what: 'it', bytesMax: 1_000_000 }

const plain = fc
  .anything({
    maxDepth: 3,
    withBigInt: true,
    withDate: true,
    withNullPrototype: false,
    values: [fc.string(), fc.boolean(), fc.integer(), fc.bigInt(), fc.uint8Array({ maxLength: 5 })],
  })
  .filter(travels)

function travels(value: unknown): boolean {
  try {
    encodeJson(value, JSON_BOUNDS)
    return true
  } catch {
    return false
  }
}

/** What an error is to whoever catches it, in a form that can be compared and sent again. */
function showError(error: Error): unknown {
  const { name, message, cause } = error
  return { name, message, fields: { ...error }, cause: cause instanceof Error && showError(cause) }
}

const thrown = fc
  .tuple(text, text, fc.dictionary(fc.stringMatching(/^[a-z]{1,6}$/), plain, { maxKeys: 3 }))
  .map(([message, cause, fields]) => {
    return Object.assign(new Error(message, { cause: new RangeError(cause) }), fields)
  })

const seeker = record({
  stance: fc.constantFrom<Stance>('joining', 'looking', 'asking', 'beginning'),
  memberId: u53,
  nodeId: text,
})

export const engineTargets: readonly AnyTarget[] = [
  codecTarget({
    name: 'engine.refusal',
    runs: 300,
    value: record({ database: text, sequence: u53 }),
    encode: encodeRefusal,
    decode: decodeRefusal,
  }),
  codecTarget<readonly number[]>({
    name: 'engine.numbers',
    runs: 300,
    value: fc.array(u53, { minLength: 4, maxLength: 4 }),
    encode: (numbers) => encodeNumbers(...numbers),
    decode: (bytes) => decodeNumbers(bytes, 4),
  }),
  codecTarget<Seeker>({
    name: 'engine.seeker',
    runs: 300,
    value: seeker,
    encode: encodeSeeker,
    decode: decodeSeeker,
  }),
  codecTarget<MeetAnswer>({
    name: 'engine.meetAnswer',
    runs: 300,
    value: fc.oneof(
      record({
        kind: fc.constant('member' as const),
        clusterId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
        memberId: u53,
        leaderAddress: text,
      }),
      record({ kind: fc.constant('seeker' as const), agrees: fc.boolean(), seeker }),
    ),
    encode: encodeMeetAnswer,
    decode: decodeMeetAnswer,
  }),
  codecTarget({
    name: 'engine.leaderAnswer',
    runs: 500,
    value: leaderAnswer,
    encode: encodeLeaderAnswer,
    decode: decodeLeaderAnswer,
  }),
  codecTarget({
    name: 'engine.trialStep',
    runs: 300,
    value: record({
      bytes: data,
      begins: fc.boolean(),
      base: fc.oneof(fc.constant(null), fc.nat()),
    }),
    encode: encodeTrialStep,
    decode: decodeTrialStep,
  }),
  codecTarget({
    name: 'engine.trialName',
    runs: 300,
    value: record({ database: text, key: text }),
    encode: encodeTrialName,
    decode: decodeTrialName,
  }),
  codecTarget({
    name: 'engine.memberChange',
    runs: 300,
    value: record({ change: fc.constantFrom('promote', 'demote', 'remove'), id: u53 }),
    encode: ({ change, id }) => encodeMemberChange(change, id),
    decode: decodeMemberChange,
  }),
  codecTarget({ name: 'engine.table', value: table, encode: encodeTable, decode: decodeTable }),
  codecTarget<HashQuestion>({
    name: 'engine.hashQuestion',
    runs: 300,
    value: record({ kind: fc.constantFrom('expect', 'result'), key: hex32 }),
    encode: encodeHashQuestion,
    decode: decodeHashQuestion,
  }),
  codecTarget({
    name: 'engine.hashResult',
    runs: 500,
    value: hashResult,
    encode: encodeHashResult,
    decode: decodeHashResult,
  }),
  codecTarget<ConfChange>({
    name: 'raft.confChange',
    value: confChange,
    encode: encodeConfChange,
    decode: (bytes) => {
      const change = decodeConfChange(bytes)
      if (change === null) throw new DecodeError('no change')
      return { ...change, changes: [...change.changes] }
    },
  }),
  codecTarget<Entry[]>({
    name: 'database.entries',
    value: entries,
    encode: encodeEntries,
    decode: decodeEntries,
  }),
  codecTarget({
    name: 'database.confState',
    value: confState,
    encode: encodeConfState,
    decode: decodeConfState,
  }),
  codecTarget<ForwardCall>({
    name: 'node.call',
    runs: 500,
    value: record({ key: text, version: u32, timeoutMs: u53, payload: data }),
    encode: encodeCall,
    decode: decodeCall,
  }),
  codecTarget({
    name: 'node.answer',
    runs: 300,
    value: record({ isFailure: fc.boolean(), payload: data }),
    encode: encodeAnswer,
    decode: decodeAnswer,
  }),
  codecTarget<unknown>({
    name: 'node.value',
    value: plain,
    encode: (value) => encodeJson(value, JSON_BOUNDS),
    decode: decodeJson,
  }),
  codecTarget<{ readonly error: unknown }>({
    name: 'node.error',
    value: thrown.map((error) => ({ error: showError(decodeError(encodeError(error))) })),
    encode: ({ error }) => encodeError(rebuild(error)),
    decode: (bytes) => ({ error: showError(decodeError(bytes)) }),
  }),
]

interface Shown {
  readonly name: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
  readonly cause: Shown | false
}

function rebuild(shown: unknown): Error {
  const { name, message, fields, cause } = shown as Shown
  const error = new Error(message, cause === false ? {} : { cause: rebuild(cause) })
  Object.defineProperty(error, 'name', { value: name })
  for (const [key, value] of Object.entries(fields)) {
    Object.defineProperty(error, key, { value, enumerable: true, configurable: true })
  }
  return error
}
