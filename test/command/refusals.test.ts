/** What stands in the log and must not be taken, check by check: whoever guesses differs. */
import {
  COMPACTION,
  decodeCommandResult,
  decodeDropDatabase,
  decodeHashContent,
  decodeMemberRecords,
  decodeRaiseFormat,
  decodeRegisterOrigin,
  decodeWrite,
  encodeCommandResult,
  encodeDropDatabase,
  encodeHashContent,
  encodeMemberRecords,
  encodeRaiseFormat,
  encodeRegisterOrigin,
  type Unit,
  WriteEncoder,
} from '../../src/command/command.ts'
import { type Decoder, testRefusals } from '../fuzz/refusals.ts'

const ORIGIN = 'ab'.repeat(16)
const UNSAFE = [0, 0, 0, 0, 0, 0, 0x20, 0]

/** Of every payload. */
const ENVELOPE: Decoder['wrong'] = [
  ['another magic', 0, 0xc1],
  ['a kind that there is not', 1, 99],
  ['another kind', 1, 12],
  ['a format of tomorrow', 2, 0xff, 0xff],
  ['format 0', 2, 0],
]

const UNIT: Unit = { statements: [{ sql: 'SELECT 1', args: [1n] }] }

function encodeWrite(
  units: readonly Unit[] = [UNIT],
  rest: Parameters<WriteEncoder['finish']>[1] = {},
): Uint8Array {
  const encoder = new WriteEncoder()
  for (const unit of units) encoder.add(unit)
  return encoder.finish({ origin: ORIGIN, database: 'a', sequence: 1 }, rest)
}

function encodeResult(): Uint8Array {
  const statement = {
    rowsAffected: 0,
    lastInsertRowid: null,
    columns: [],
    columnTypes: [],
    rows: [],
  }
  const place = { database: 'a', sequence: 1, isTried: false, index: 3, term: 1 }
  return encodeCommandResult({ ...place, units: [{ ok: true, statements: [statement] }] })
}
/** Behind the database, sequence, kind, index, term and the number of units. */
const UNIT_AT = 5 + 8 + 1 + 8 + 8 + 4

testRefusals([
  {
    name: 'a write',
    bytes: encodeWrite(),
    decode: decodeWrite,
    wrong: [...ENVELOPE, ['flags that there are not', 4, 0, 0, 0, 0x80]],
    others: [
      ['a compaction beside something else', encodeWrite([COMPACTION, UNIT])],
      [
        'a trial of other statements than its own',
        encodeWrite([UNIT], { trial: { base: 1, outcomes: [1, 1] } }),
      ],
    ],
  },
  {
    name: 'a registration',
    bytes: encodeRegisterOrigin({
      memberId: 1,
      origin: ORIGIN,
      previous: '',
      fingerprint: 'x',
      formatMax: 1,
    }),
    decode: decodeRegisterOrigin,
    wrong: [...ENVELOPE, ['a member that is no safe number', 4, ...UNSAFE]],
  },
  {
    name: 'a raised format',
    bytes: encodeRaiseFormat({ format: 1 }),
    decode: decodeRaiseFormat,
    wrong: ENVELOPE.map((row) => (row[0] === 'another kind' ? [row[0], 1, 3] : row)),
  },
  {
    name: 'a dropped database',
    bytes: encodeDropDatabase({ origin: ORIGIN, database: 'a', request: 1 }),
    decode: decodeDropDatabase,
    wrong: ENVELOPE,
  },
  {
    name: 'a hash of content',
    bytes: encodeHashContent(ORIGIN),
    decode: decodeHashContent,
    wrong: ENVELOPE,
  },
  {
    name: 'records of members',
    bytes: encodeMemberRecords([{ memberId: 1, nodeId: 'a', address: 'b', wantedRole: 'voter' }]),
    decode: decodeMemberRecords,
    wrong: [
      ['another format', 0, 2],
      ['more records than its bytes hold', 1, 9],
      ['a member that is no safe number', 5, ...UNSAFE],
    ],
  },
  {
    name: 'a result',
    bytes: encodeResult(),
    decode: decodeCommandResult,
    wrong: [
      ['a unit that is neither done nor failed', UNIT_AT, 2],
      ['rows without a column', UNIT_AT + 1 + 4 + 8 + 1 + 2, 1],
    ],
  },
])
