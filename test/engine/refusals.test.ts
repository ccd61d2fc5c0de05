/** What other engines say and must not be taken, check by check. */
import { ByteWriter } from '../../src/base/bytes.ts'
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
  decodeMeetAnswer,
  decodeMemberChange,
  decodeNumbers,
  decodeRefusal,
  decodeSeeker,
  decodeTrialName,
  decodeTrialStep,
  encodeJoin,
  encodeLeaderAnswer,
  encodeMeetAnswer,
  encodeMemberChange,
  encodeNumbers,
  encodeRefusal,
  encodeSeeker,
  encodeTrialName,
  encodeTrialStep,
} from '../../src/engine/wire.ts'
import { join } from '../fuzz/mutations.ts'
import { testRefusals } from '../fuzz/refusals.ts'

const SEEKER = { memberId: 1, nodeId: 'a', stance: 'asking' } as const
const UNSAFE = [0, 0, 0, 0, 0, 0, 0x20, 0]
const HELD = new Map([['main', 'ff']])
const REFUSED = encodeLeaderAnswer({ kind: 'refused', error: new ColmenaError('ERR_BUSY', 'x') })

testRefusals([
  {
    name: 'numbers',
    bytes: encodeNumbers(1, 2),
    decode: (bytes) => decodeNumbers(bytes, 2),
    wrong: [['one that is not safe', 8, ...UNSAFE]],
  },
  {
    name: 'the answer of a leader',
    bytes: REFUSED,
    decode: decodeLeaderAnswer,
    wrong: [
      ['a kind that there is not', 0, 3],
      ['what is neither retryable nor not', REFUSED.length - 1, 2],
    ],
    others: [
      [
        'a message longer than any that is sent',
        join(
          REFUSED.subarray(0, 1 + 4 + 'ERR_BUSY'.length),
          new ByteWriter().text('a'.repeat(2_001)).flag(false).finish(),
        ),
      ],
    ],
  },
  {
    name: 'an answer that all is done',
    bytes: encodeLeaderAnswer({ kind: 'done' }),
    decode: decodeLeaderAnswer,
    wrong: [],
  },
  {
    name: 'an answer to ask elsewhere',
    bytes: encodeLeaderAnswer({ kind: 'elsewhere', address: 'a:1' }),
    decode: decodeLeaderAnswer,
    wrong: [],
  },
  {
    name: 'a member that was met',
    bytes: encodeMeetAnswer({
      kind: 'member',
      clusterId: new Uint8Array(16),
      memberId: 1,
      leaderAddress: 'a:1',
    }),
    decode: decodeMeetAnswer,
    wrong: [
      ['neither a member nor a seeker', 0, 2],
      ['a member that is no safe number', 17, ...UNSAFE],
      ['an address that is longer than it', 25, 200],
    ],
  },
  {
    name: 'a seeker that was met',
    bytes: encodeMeetAnswer({ kind: 'seeker', agrees: true, seeker: SEEKER }),
    decode: decodeMeetAnswer,
    wrong: [
      ['what neither agrees nor not', 1, 2],
      ['a stance that there is not', 2, 4],
    ],
  },
  {
    name: 'a seeker that asks',
    bytes: encodeSeeker(SEEKER),
    decode: decodeSeeker,
    wrong: [
      ['a stance that there is not', 0, 4],
      ['a member that is no safe number', 1, ...UNSAFE],
    ],
  },
  {
    name: 'a refusal of a command',
    bytes: encodeRefusal({ database: 'main', sequence: 1 }),
    decode: decodeRefusal,
    wrong: [['a sequence that is no safe number', 0, ...UNSAFE]],
  },
  {
    name: 'a step of a trial',
    bytes: encodeTrialStep({ bytes: new Uint8Array(4), begins: true, base: 1 }),
    decode: decodeTrialStep,
    wrong: [
      ['what neither begins one nor goes on', 0, 2],
      ['a base that is no safe number', 1, ...UNSAFE],
    ],
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
    wrong: [
      ['a question that there is not', 0, 2],
      ['a key of another form', 5, ...Buffer.from('G')],
    ],
  },
  {
    name: 'a hash',
    bytes: encodeHashResult({ index: 1, held: HELD, error: '' }),
    decode: decodeHashResult,
    wrong: [
      ['what is neither known nor not', 0, 2],
      ['an index that is no safe number', 1, ...UNSAFE],
      ['what neither holds something nor nothing', 1 + 8 + 4, 2],
    ],
  },
  {
    name: 'no hash yet',
    bytes: encodeHashResult(null),
    // Nothing is what it answers with.
    decode: (bytes) => [decodeHashResult(bytes)],
    wrong: [],
  },
])
