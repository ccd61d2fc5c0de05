/** What records hold and must not be taken, check by check. */
import {
  decodeBase,
  decodeHardState,
  decodeMark,
  encodeBase,
  encodeHardState,
  encodeMark,
} from '../../src/log/body.ts'
import { testRefusals } from '../fuzz/refusals.ts'

const CONF_STATE = {
  voters: [1],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
}
const MARK = { generation: 2, index: 5, term: 1, confState: CONF_STATE }
const HARD_STATE = { term: 1, vote: 1, commit: 1 }

testRefusals([
  {
    name: 'a hard state',
    bytes: encodeHardState(HARD_STATE),
    decode: decodeHardState,
    wrong: [['a term that is no safe number', 0, 0, 0, 0, 0, 0, 0, 0x20, 0]],
  },
  {
    name: 'the mark of a snapshot',
    bytes: encodeMark(MARK),
    decode: (bytes) => decodeMark(5, 1, bytes),
    wrong: [['more voters than its bytes hold', 8, 200]],
  },
  {
    name: 'the base of a segment',
    bytes: encodeBase({
      sealChain: 0,
      compacted: 0,
      compactedTerm: 0,
      hardState: HARD_STATE,
      snapshot: MARK,
    }),
    decode: decodeBase,
    wrong: [['a flag that is neither 0 nor 1', 4 + 8 + 8 + 3 * 8, 2]],
  },
])
