import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts'
import type { ConfState } from '../raft/types.ts'

/** How the system database keeps the configuration. */
const CONF_STATE_FORMAT = 1

export function encodeConfState(confState: ConfState): Uint8Array {
  const writer = new ByteWriter().u8(CONF_STATE_FORMAT).flag(confState.autoLeave)
  const { voters, learners, votersOutgoing, learnersNext } = confState
  for (const ids of [voters, learners, votersOutgoing, learnersNext]) {
    writer.u32(ids.length)
    for (const id of ids) writer.u53(id)
  }
  return writer.finish()
}

export function decodeConfState(bytes: Uint8Array): ConfState {
  const reader = new ByteReader(bytes)
  const format = reader.u8()
  if (format !== CONF_STATE_FORMAT) throw new DecodeError(`a configuration of format ${format}`)
  const autoLeave = reader.flag()
  const [voters = [], learners = [], votersOutgoing = [], learnersNext = []] = [1, 2, 3, 4].map(
    () => Array.from({ length: reader.count(8) }, () => reader.u53()),
  )
  reader.end()
  return { voters, learners, votersOutgoing, learnersNext, autoLeave }
}
