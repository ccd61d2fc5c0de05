/** Which format the cluster writes, and who may be a member of it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeRaiseFormat } from '../../src/command/command.ts'
import { Formats } from '../../src/engine/formats.ts'

function createFormats(format = 0): {
  formats: Formats
  proposed: number[]
  state: { role: string; atMs: number; others: (number | null)[] }
} {
  const proposed: number[] = []
  const state = { role: 'leader', atMs: 0, others: [1, 1] as (number | null)[] }
  const formats = new Formats({
    raft: {
      get role() {
        return state.role as 'leader'
      },
      committedInOwnTerm: true,
      propose: ([bytes]) => {
        proposed.push(decodeRaiseFormat(bytes as Uint8Array).format)
        return 'ok'
      },
    },
    clock: { nowMs: () => state.atMs, wallMs: () => 0, setTimer: () => () => {} },
    askAgainMs: 1_000,
    format,
    others: () => state.others,
  })
  return { formats, proposed, state }
}

describe('the format of commands', () => {
  it('is raised by the leader once all members read a newer one, and asked for again', () => {
    const { formats, proposed, state } = createFormats()
    formats.tick()
    formats.tick()
    assert.deepEqual(proposed, [1])
    state.atMs = 1_000
    formats.tick()
    assert.deepEqual(proposed, [1, 1])
    formats.applied(1)
    state.atMs = 2_000
    formats.tick()
    assert.deepEqual(proposed, [1, 1])
  })

  it('stays while a member is unheard of or behind, and where this node does not lead', () => {
    const { formats, proposed, state } = createFormats()
    for (const others of [
      [1, null],
      [0, 1],
      [null, null],
    ]) {
      state.others = others
      formats.tick()
    }
    state.others = [1, 1]
    state.role = 'follower'
    formats.tick()
    assert.deepEqual(proposed, [])
  })

  it('is a condition for members', () => {
    const { formats } = createFormats(2)
    assert.equal(formats.refusal({ nodeId: 'new', formatMax: 2 }), null)
    const refusal = formats.refusal({ nodeId: 'old', formatMax: 1 })
    assert.equal(refusal?.code, 'ERR_UNSUPPORTED_FORMAT')
    assert.match(refusal?.message ?? '', /'old' reads formats up to 1, .* writes format 2 already/)
  })
})
