/** What the storage thread reads and must not take, check by check. */
import { decodeConfState, encodeConfState } from '../../src/database/conf-state.ts'
import {
  decodeEntries,
  decodeResults,
  encodeEntries,
  encodeResults,
} from '../../src/database/storage-protocol.ts'
import { testRefusals } from '../fuzz/refusals.ts'
import { GENESIS } from './log-maker.ts'

const RESULT = { bytes: new Uint8Array(3), committedMs: 1, appliedMs: 2 }

testRefusals([
  {
    name: 'a configuration',
    bytes: encodeConfState(GENESIS.confState),
    decode: decodeConfState,
    wrong: [
      ['another format', 0, 2],
      ['more members than its bytes hold', 2, 200],
    ],
  },
  {
    name: 'entries',
    bytes: encodeEntries([{ index: 1, term: 1, type: 'normal', data: new Uint8Array(3) }]),
    decode: decodeEntries,
    wrong: [
      ['a type that there is not', 4 + 8 + 8, 3],
      ['more of them than their bytes hold', 0, 2],
    ],
  },
  {
    name: 'results',
    bytes: encodeResults([RESULT]),
    decode: decodeResults,
    wrong: [['more of them than its bytes hold', 0, 200]],
  },
])
