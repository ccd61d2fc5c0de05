/** What comes off a socket and must not be taken, check by check. */
import { ByteWriter } from '../../src/base/bytes.ts'
import { ColmenaError } from '../../src/base/errors.ts'
import type { Message } from '../../src/raft/types.ts'
import { decodeResponse, encodeResponse } from '../../src/transport/call-wire.ts'
import {
  decodeHello,
  decodeRefusal,
  encodeHello,
  encodeRefusal,
} from '../../src/transport/hello.ts'
import { decodeMessage, encodeMessage } from '../../src/transport/message.ts'
import {
  decodeFailure,
  decodeHave,
  decodeManifest,
  encodeFailure,
  encodeHave,
  encodeManifest,
} from '../../src/transport/snapshot-wire.ts'
import { join } from '../fuzz/mutations.ts'
import { testRefusals } from '../fuzz/refusals.ts'
import { createIdentity } from './cluster.ts'

const UNSAFE = [0, 0, 0, 0, 0, 0, 0x20, 0]

const MESSAGE: Message = {
  type: 'append',
  from: 1,
  to: 2,
  term: 3,
  logTerm: 2,
  index: 7,
  commit: 6,
  vote: 0,
  reject: false,
  rejectHint: 0,
  entries: [{ index: 8, term: 3, type: 'normal', data: new Uint8Array([5]) }],
  snapshot: null,
  context: new Uint8Array(0),
  responses: [],
}
const CONF_STATE = {
  voters: [1],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
}
const SNAPSHOT: Message = {
  ...MESSAGE,
  type: 'snapshot',
  entries: [],
  snapshot: { meta: { index: 7, term: 3, confState: CONF_STATE }, data: new Uint8Array(2) },
}
/** Behind three bytes, eight numbers and the length of an empty context. */
const ENTRIES_AT = 3 + 8 * 8 + 4

const FILE = { sizeBytes: 4, sha256: new Uint8Array(32) }
const MANIFEST = {
  id: new Uint8Array(16),
  index: 5,
  term: 1,
  extra: new Uint8Array(0),
  files: [
    { ...FILE, name: 'a.db' },
    { ...FILE, name: 'b.db' },
  ],
}
const NAME_AT = 1 + 16 + 8 + 8 + 4 + 4 + 4
const NEXT_NAME_AT = NAME_AT + 4 + 8 + 32 + 4
const HELLO = encodeHello({ identity: createIdentity(5), purpose: 'call', expects: 0 })
const FAILURE = new ColmenaError('ERR_BUSY', 'x', { outcome: 'not-applied' })
const CODE_END = 5 + 4 + 'ERR_BUSY'.length + 4 + 1

/** A text or a blob, of that many letters. */
function lettersOf(count: number): Uint8Array {
  return new ByteWriter().text('a'.repeat(count)).finish()
}

const FILES_AT = NAME_AT - 8
const FOUR_THOUSAND = join(
  encodeManifest(MANIFEST).subarray(0, FILES_AT),
  new ByteWriter().u32(4_097).finish(),
  ...Array.from({ length: 4_097 }, (_, i) =>
    new ByteWriter().text(`${i}.db`).u53(4).raw(FILE.sha256).finish(),
  ),
)
/** Behind all that has one size; then come three texts. */
const TEXTS_AT = 7 + 8 + 16 + 8 + 8 + 8 + 4 + 4

testRefusals([
  {
    name: 'a failure of a snapshot',
    bytes: encodeFailure(new ColmenaError('ERR_BUSY', 'x')),
    // An error that is answered would count as a refusal.
    decode: (bytes) => ({ failure: decodeFailure(bytes) }),
    wrong: [['what is neither retryable nor not', 4 + 8 + 4 + 1, 2]],
    others: [
      [
        'a message longer than any that is sent',
        join(encodeFailure(FAILURE).subarray(0, 12), lettersOf(2_001), new Uint8Array(1)),
      ],
    ],
  },
  {
    name: 'a refusal',
    bytes: encodeRefusal({ code: 'ERR_BUSY', message: 'x' }),
    decode: (bytes) => [decodeRefusal(bytes)],
    wrong: [['another magic', 0, 0x2a]],
    others: [
      [
        'a message longer than any that is sent',
        join(
          encodeRefusal({ code: 'ERR_BUSY', message: '' }).subarray(0, 4 + 4 + 'ERR_BUSY'.length),
          lettersOf(1_025),
        ),
      ],
    ],
    // What newer nodes may add.
    takesAnyTail: true,
  },
  {
    name: 'a hello',
    bytes: HELLO,
    decode: decodeHello,
    wrong: [
      ['another magic', 0, 0x2a],
      ['another version', 4, 2],
      ['a purpose that there is not', 6, 4],
      ['a member that is no safe number', 7, ...UNSAFE],
      ['a text that is longer than it', TEXTS_AT, 0xff, 0xff],
    ],
    others: [
      [
        'a text of more than 1024 bytes',
        join(HELLO.subarray(0, TEXTS_AT), lettersOf(1_025), lettersOf(1), lettersOf(1)),
      ],
    ],
  },
  {
    name: 'an append',
    bytes: join(...encodeMessage(MESSAGE)),
    decode: decodeMessage,
    wrong: [
      ['another format', 0, 9],
      ['a type that there is not', 1, 200],
      ['flags that there are not', 2, 4],
      ['a term that is no safe number', 19, ...UNSAFE],
      ['more entries than its bytes hold', ENTRIES_AT, 0xff, 0xff, 0xff, 0xff],
      ['a gap before its entries', ENTRIES_AT + 4, 9],
      ['a type of entry that there is not', ENTRIES_AT + 4 + 16, 3],
    ],
  },
  {
    name: 'a snapshot message',
    bytes: join(...encodeMessage(SNAPSHOT)),
    decode: decodeMessage,
    wrong: [
      ['a flag that is neither 0 nor 1', ENTRIES_AT + 16, 2],
      ['its snapshot under another type', 1, join(...encodeMessage(MESSAGE))[1] as number],
    ],
  },
  {
    name: 'a manifest',
    bytes: encodeManifest(MANIFEST),
    decode: decodeManifest,
    wrong: [
      ['another format', 0, 2],
      ['an index that is no safe number', 17, ...UNSAFE],
      ['a name that leaves its folder', NAME_AT, ...Buffer.from('../x')],
      ['a name in capitals', NAME_AT, ...Buffer.from('A')],
      ['a name twice', NEXT_NAME_AT, ...Buffer.from('a')],
      ['more files than its bytes hold', FILES_AT, 0xff],
    ],
    others: [
      ['more than 4096 files', FOUR_THOUSAND],
      [
        'an extra part of more than 1 MiB',
        join(
          encodeManifest(MANIFEST).subarray(0, FILES_AT - 4),
          lettersOf(1024 * 1024 + 1),
          encodeManifest(MANIFEST).subarray(FILES_AT),
        ),
      ],
    ],
  },
  {
    name: 'what a receiver has',
    bytes: encodeHave([2, 4]),
    decode: (bytes) => decodeHave(bytes, MANIFEST.files),
    wrong: [
      ['another count of files', 0, 1],
      ['more than a file holds', 4, 5],
      ['a size that is no safe number', 4, ...UNSAFE],
    ],
  },
  {
    name: 'a failed reply',
    bytes: join(...encodeResponse({ id: 1, error: FAILURE, body: new Uint8Array(0) })),
    decode: (bytes) => {
      const { error, body } = decodeResponse(bytes)
      return [error, body]
    },
    wrong: [
      ['a status that there is not', 4, 2],
      ['what is neither retryable nor not', CODE_END, 2],
      ['an outcome that there is not', CODE_END + 1, 3],
      ['what neither has an index nor has none', CODE_END + 2, 2],
      ['an index that is none', CODE_END + 3, 1],
    ],
    others: [
      [
        'a message longer than any that is sent',
        join(
          ...encodeResponse({ id: 1, error: FAILURE, body: new Uint8Array(0) }).map((bytes) =>
            bytes.subarray(0, CODE_END - 5),
          ),
          lettersOf(2_001),
          new Uint8Array(1 + 1 + 1 + 8),
        ),
      ],
    ],
  },
])
