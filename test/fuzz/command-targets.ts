/** What log entries carry, and what nodes answer each other of them. */
import { deflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import { ByteWriter, DecodeError } from '../../src/base/bytes.ts'
import {
  COMMAND_FORMAT,
  COMMAND_KINDS,
  type CommandResult,
  type CompactedSizes,
  compactedSizes,
  compactionResult,
  decodeCommandResult,
  decodeDropDatabase,
  decodeHashContent,
  decodeMemberRecords,
  decodeRaiseFormat,
  decodeRegisterOrigin,
  decodeTrialAnswer,
  decodeWrite,
  type Environment,
  encodeCommandResult,
  encodeDropDatabase,
  encodeHashContent,
  encodeMemberRecords,
  encodeRaiseFormat,
  encodeRegisterOrigin,
  encodeTrialAnswer,
  type LeaseAnswer,
  type LeaseRequest,
  leaseAnswer,
  leaseRequest,
  leaseResult,
  leaseUnit,
  type MemberRecord,
  packWrite,
  patchEnvironment,
  type RegisterOrigin,
  type StatementResult,
  type TrialAnswer,
  type Unit,
  type UnitResult,
  unpackWrite,
  type WriteCommand,
  WriteEncoder,
} from '../../src/command/command.ts'
import { planEntry } from '../../src/database/planning.ts'
import { type AnyTarget, codecTarget } from './target.ts'
import { data, hex32, optional, record, sqlValue, text, u32, u53 } from './values.ts'

const environment: fc.Arbitrary<Environment> = record({ wallMs: u53, seedHigh: u32, seedLow: u32 })
const statement = record({
  sql: fc.constantFrom('SELECT 1', 'INSERT INTO t VALUES (?)', 'x'),
  args: fc.oneof(
    fc.array(sqlValue, { maxLength: 3 }),
    fc.array(fc.tuple(text, sqlValue), { maxLength: 3 }).map((named) => new Map(named)),
  ),
})
const statements = fc.array(statement, { maxLength: 3 })
const migration = record({
  version: u53,
  name: text,
  checksum: fc.uint8Array({ minLength: 32, maxLength: 32 }),
})
const unit: fc.Arbitrary<Unit> = fc.oneof(
  record<Unit>({ statements }),
  record<Unit>({ statements, foreignKeysOff: fc.constant(true) }),
  record<Unit>({
    statements,
    foreignKeysOff: fc.constant(true),
    foreignKeysUnchecked: fc.constant(true),
  }),
  record<Unit>({ statements, foreignKeysOff: fc.constant(true), migration }),
)
const header = {
  kind: fc.constantFrom('write', 'leases'),
  environment,
  origin: hex32,
  sequence: u53,
  database: text,
  doubleQuotedStrings: fc.constantFrom(undefined, false, true),
  changes: fc.constantFrom(undefined, false, true),
} as const
const write = fc.oneof(
  optional(
    { ...header, units: fc.array(unit, { maxLength: 3 }) },
    { fence: u53, rejectsNonDeterminism: fc.constant(true) },
  ),
  optional({ ...header, units: fc.constant([{ statements: [], compacts: true }]) }, { fence: u53 }),
  fc
    .tuple(
      optional({ ...header, statements }, { fence: u53 }),
      u53,
      fc.array(fc.oneof(u53, fc.constant(null)), { minLength: 3, maxLength: 3 }),
    )
    .map(([{ statements: tried, ...rest }, base, outcomes]) => ({
      ...rest,
      units: [{ statements: tried }],
      trial: { base, outcomes: outcomes.slice(0, tried.length) },
    })),
) as fc.Arbitrary<WriteCommand>

function encodeWrite(command: WriteCommand): Uint8Array<ArrayBuffer> {
  const encoder = new WriteEncoder()
  for (const each of command.units) encoder.add(each)
  const bytes = encoder.finish(command, command)
  patchEnvironment(bytes, command.environment)
  return bytes
}

const register: fc.Arbitrary<RegisterOrigin> = record({
  memberId: u53,
  origin: hex32,
  previous: fc.oneof(fc.constant(''), hex32),
  fingerprint: text,
  formatMax: u32,
})
const memberRecords: fc.Arbitrary<readonly MemberRecord[]> = fc.array(
  record<MemberRecord>({
    memberId: u53,
    nodeId: text,
    address: text,
    wantedRole: fc.constantFrom('voter', 'learner'),
  }),
  { maxLength: 4 },
)

const statementResult = fc
  .tuple(
    fc.array(fc.tuple(text, text), { maxLength: 3 }),
    fc.array(fc.array(sqlValue, { minLength: 3, maxLength: 3 }), { maxLength: 3 }),
    u53,
    fc.oneof(fc.constant(null), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  )
  .map(
    ([columns, rows, rowsAffected, lastInsertRowid]): StatementResult => ({
      columns: columns.map(([name]) => name),
      columnTypes: columns.map(([, type]) => type),
      rows: columns.length === 0 ? [] : rows.map((row) => row.slice(0, columns.length)),
      rowsAffected,
      lastInsertRowid,
    }),
  )
const unitResult: fc.Arbitrary<UnitResult> = fc.oneof(
  record({
    ok: fc.constant(true as const),
    statements: fc.array(statementResult, { maxLength: 2 }),
  }),
  record({
    ok: fc.constant(false as const),
    error: record({ code: text, message: text, sqliteCode: u32, statementIndex: u32 }),
  }),
)
const commandResult: fc.Arbitrary<CommandResult> = record({
  database: text,
  sequence: u53,
  isTried: fc.boolean(),
  index: u53,
  term: u53,
  units: fc.array(unitResult, { maxLength: 3 }),
})
const trialAnswer: fc.Arbitrary<TrialAnswer> = record({
  base: u53,
  environment,
  tried: fc.array(record({ isLook: fc.boolean(), result: unitResult }), { maxLength: 3 }),
})

const leaseAsked: fc.Arbitrary<LeaseRequest> = fc.oneof(
  record<LeaseRequest>({
    what: fc.constant('acquire'),
    purpose: fc.constantFrom('lock', 'once'),
    key: text,
    ttlMs: u53,
  }),
  record<LeaseRequest>({ what: fc.constant('renew'), token: u53, ttlMs: u53 }),
  record<LeaseRequest>({ what: fc.constant('release'), token: u53 }),
  record<LeaseRequest>({
    what: fc.constant('finish'),
    token: u53,
    isFailure: fc.boolean(),
    result: data,
    keepMs: u53,
  }),
)
const leaseAnswered: fc.Arbitrary<LeaseAnswer> = fc.oneof(
  record<LeaseAnswer>({ what: fc.constant('held'), token: u53 }),
  record<LeaseAnswer>({ what: fc.constant('busy'), nodeId: text, leftMs: u53 }),
  record<LeaseAnswer>({ what: fc.constant('kept'), isFailure: fc.boolean(), result: data }),
  record<LeaseAnswer>({ what: fc.constant('released') }),
  record<LeaseAnswer>({ what: fc.constant('ended') }),
)

/** One unit's answer as its command has it, so that what is in a row is broken in bytes. */
function resultBytes(result: UnitResult): Uint8Array {
  const place = { database: 'd', sequence: 1, isTried: false, index: 1, term: 1 }
  return encodeCommandResult({ ...place, units: [result] })
}

function resultRow(bytes: Uint8Array): StatementResult | undefined {
  const [first] = decodeCommandResult(bytes).units
  if (first?.ok !== true) throw new DecodeError('no answer')
  return first.statements[0]
}

/** What is too small to be packed, or gains nothing, can all the same come from elsewhere. */
function pack(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const packed = packWrite(new Uint8Array(bytes), COMMAND_FORMAT)
  if (packed[1] === COMMAND_KINDS.packedWrite) return packed
  const writer = new ByteWriter().u8(MAGIC).u8(COMMAND_KINDS.packedWrite).u16(2)
  return writer.blob(deflateRawSync(bytes, { level: 1 })).finish()
}

const MAGIC = 0xc0
const LONG = 'x'.repeat(5_000)
const PACKED_BYTES_MAX = 66 * 1024 * 1024

export const commandTargets: readonly AnyTarget[] = [
  codecTarget<WriteCommand>({
    name: 'command.write',
    runs: 1_500,
    value: write,
    encode: encodeWrite,
    decode: decodeWrite,
  }),
  codecTarget<Uint8Array>({
    name: 'command.packed',
    runs: 200,
    value: write.map((made) => encodeWrite({ ...made, database: LONG })),
    encode: pack,
    decode: (bytes) => new Uint8Array(unpackWrite(bytes)),
    allocatedBytesMax: PACKED_BYTES_MAX,
  }),
  {
    name: 'command.bomb',
    runs: 1,
    input: fc.constant(null),
    check: () => {
      // Far more than a command may have: 100 MB of zeros in 100 KB.
      const bytes = pack(new Uint8Array(100_000_000))
      try {
        unpackWrite(bytes)
      } catch (error) {
        if (error instanceof DecodeError) return
        throw error
      }
      throw new Error('what unpacks without end is unpacked')
    },
  },
  codecTarget({
    name: 'command.registerOrigin',
    runs: 500,
    value: register.filter(({ previous }) => previous !== '0'.repeat(32)),
    encode: encodeRegisterOrigin,
    decode: decodeRegisterOrigin,
  }),
  codecTarget({
    name: 'command.raiseFormat',
    runs: 200,
    value: record({ format: u32 }),
    encode: encodeRaiseFormat,
    decode: decodeRaiseFormat,
  }),
  codecTarget({
    name: 'command.dropDatabase',
    runs: 300,
    value: record({ origin: hex32, database: text, request: u53 }),
    encode: encodeDropDatabase,
    decode: decodeDropDatabase,
  }),
  codecTarget<string>({
    name: 'command.hashContent',
    runs: 200,
    value: hex32,
    encode: encodeHashContent,
    decode: decodeHashContent,
  }),
  codecTarget<readonly MemberRecord[]>({
    name: 'command.memberRecords',
    value: memberRecords.filter(({ length }) => length > 0),
    encode: encodeMemberRecords,
    decode: decodeMemberRecords,
  }),
  codecTarget({
    name: 'command.result',
    runs: 1_500,
    value: commandResult,
    encode: encodeCommandResult,
    decode: decodeCommandResult,
  }),
  codecTarget({
    name: 'command.trialAnswer',
    value: trialAnswer,
    encode: encodeTrialAnswer,
    decode: decodeTrialAnswer,
  }),
  codecTarget<LeaseRequest>({
    name: 'command.leaseRequest',
    value: leaseAsked,
    encode: (made) => encodeWrite({ ...LEASES, units: [leaseUnit(made)] }),
    decode: (bytes) => leaseRequest(firstOf(decodeWrite(bytes).units)),
  }),
  codecTarget<LeaseAnswer>({
    name: 'command.leaseAnswer',
    value: leaseAnswered,
    encode: (made) => resultBytes(leaseResult(made)),
    decode: (bytes) => leaseAnswer(resultRow(bytes)),
  }),
  codecTarget<CompactedSizes>({
    name: 'command.compactedSizes',
    runs: 500,
    value: record({ beforeBytes: u53, afterBytes: u53 }),
    encode: (made) => resultBytes(compactionResult(made)),
    decode: (bytes) => compactedSizes(resultRow(bytes)),
  }),
  // Of an entry as apply meets it: whatever a payload says that it is.
  codecTarget<{ readonly bytes: Uint8Array }>({
    name: 'command.entry',
    value: fc
      .oneof(
        write.map(encodeWrite),
        register.map(encodeRegisterOrigin),
        record({ origin: hex32, database: text, request: u53 }).map(encodeDropDatabase),
        hex32.map(encodeHashContent),
      )
      .map((bytes) => ({ bytes })),
    encode: ({ bytes }) => bytes,
    decode: (bytes) => {
      planEntry({ index: 1, term: 1, type: 'normal', data: bytes })
      return { bytes }
    },
    allocatedBytesMax: PACKED_BYTES_MAX,
  }),
]

const LEASES: WriteCommand = {
  kind: 'leases',
  origin: '0'.repeat(32),
  database: 'system',
  sequence: 1,
  environment: { wallMs: 1, seedHigh: 1, seedLow: 1 },
  units: [],
}

function firstOf(units: readonly Unit[]): Unit {
  const [first] = units
  if (first === undefined) throw new DecodeError('no unit')
  return first
}
