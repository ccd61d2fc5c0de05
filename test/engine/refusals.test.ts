/** What other engines say and must not be taken, check by check. */
import { ColmenaError } from '../../src/base/errors.ts'
import {
  decodeHashQuestion,
  decodeHashResult,
  decodeTable,
  encodeHashQuestion,
  encodeHashResult,
  encodeTable,
} from '../../src/engine/comparing-wire.ts'
import {
  decodeJoin,
  decodeLeaderAnswer,
  decodeMemberChange,
  decodeNumbers,
  decodeTrialName,
  encodeJoin,
  encodeLeaderAnswer,
  encodeMemberChange,
  encodeNumbers,
  encodeTrialName,
} from '../../src/engine/wire.ts'
import { testRefusals } from '../fuzz/refusals.ts'

const UNSAFE = [0, 0, 0, 0, 0, 0, 0x20, 0]
const HELD = new Map([['main', 'ff']])

testRefusals([
  {
    name: 'numbers',
    bytes: encodeNumbers(1, 2),
    decode: (bytes) => decodeNumbers(bytes, 2),
    wrong: [['one that is not safe', 8, ...UNSAFE]],
  },
  {
    name: 'the answer of a leader',
    bytes: encodeLeaderAnswer({ kind: 'refused', error: new ColmenaError('ERR_BUSY', 'x') }),
    decode: decodeLeaderAnswer,
    wrong: [['a kind that there is not', 0, 3]],
    takesAnyTail: true,
  },
  {
    name: 'a change of members',
    bytes: encodeMemberChange('remove', 2),
    decode: decodeMemberChange,
    wrong: [
      ['a change that there is not', 0, 3],
      ['a member that is no safe number', 1, ...UNSAFE],
    ],
    takesAnyTail: true,
  },
  {
    name: 'a join',
    bytes: encodeJoin({ memberId: 1, nodeId: 'a', address: 'b', wantedRole: 'voter' }),
    decode: decodeJoin,
    wrong: [],
    others: [['nobody', new Uint8Array(0)]],
  },
  {
    name: 'the name of a trial',
    bytes: encodeTrialName({ database: 'main', key: 'k' }),
    decode: decodeTrialName,
    wrong: [['a text that is longer than it', 0, 200]],
  },
  {
    name: 'a table of digests',
    bytes: encodeTable({ kind: 'content', index: 1, rows: new Map([[1, HELD]]) }),
    decode: decodeTable,
    wrong: [
      ['a comparison that there is not', 0, 2],
      ['more rows than its bytes hold', 9, 200],
    ],
  },
  {
    name: 'a question for a hash',
    bytes: encodeHashQuestion({ kind: 'expect', key: 'a'.repeat(32) }),
    decode: decodeHashQuestion,
    wrong: [['a key of another form', 5, ...Buffer.from('G')]],
  },
  {
    name: 'a hash',
    bytes: encodeHashResult({ index: 1, held: HELD, error: '' }),
    decode: decodeHashResult,
    wrong: [['an index that is no safe number', 1, ...UNSAFE]],
  },
])
