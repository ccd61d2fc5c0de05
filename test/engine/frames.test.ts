/** Frames of a peer that are in form, and say what nothing of ours ever said. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DecodeError } from '../../src/base/bytes.ts'
import { type FrameTakers, takeFrame } from '../../src/engine/frames.ts'
import {
  decodeNumbers,
  encodeNumbers,
  FRAMES,
  fromDifference,
  toDifference,
} from '../../src/engine/wire.ts'
import { createMessage } from '../../src/raft/message.ts'
import { encodeMessage } from '../../src/transport/transport.ts'

/** What a read's answer of the leader comes to, under that name. */
function takeAnswer(name: Uint8Array): number {
  let steps = 0
  const takers = {
    raft: { step: () => (steps += 1) },
    amnesia: { isForgetful: () => false },
    terms: { heard: () => {} },
  }
  const entry = { index: 0, term: 0, type: 'normal', data: name } as const
  const answer = { ...createMessage('readIndexResponse', 2, 1), term: 3, entries: [entry] }
  const frame = Buffer.concat(encodeMessage(answer))
  takeFrame(takers as unknown as FrameTakers, 2, FRAMES.raft, frame)
  return steps
}

describe('frames of a peer', () => {
  it('answer a read by the name that an engine gave it, or reach nobody', () => {
    assert.equal(takeAnswer(encodeNumbers(4)), 1)
    assert.equal(takeAnswer(encodeNumbers(4, 5)), 1)
    for (const name of [new Uint8Array(0), new Uint8Array(8).fill(255), new Uint8Array(9)]) {
      assert.throws(() => takeAnswer(name), DecodeError)
    }
  })

  it('tell of clocks that differ beyond all bounds as of those at the bound', () => {
    const most = 2 ** 52 - 1
    for (const [differenceMs, toldMs] of [
      [2 ** 53, most],
      [-(2 ** 53), -most],
      [1_234, 1_234],
      [null, null],
    ] as const) {
      const [number = 0] = decodeNumbers(encodeNumbers(fromDifference(differenceMs)), 1)
      assert.equal(toDifference(number), toldMs)
    }
  })
})
