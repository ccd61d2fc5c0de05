import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { EngineStatus } from '../../src/engine/engine.ts'
import { startAlone } from './alone.ts'

it('a commit is published before anybody is handed what it commits', (t) => {
  const seen: { readonly handedOut: number; readonly commit: number; readonly ownTerm: boolean }[] =
    []
  const { timeline } = startAlone(t, {
    handOut: (shared, handedOut) => {
      const { commit, ownTermCommitted } = shared.readEngine()
      seen.push({ handedOut, commit, ownTerm: ownTermCommitted })
    },
  })
  while (seen.length < 2 && timeline.nowMs < 60_000) assert.ok(timeline.step())
  // The leader's own first entry, then the origin that it registers.
  assert.ok(seen.length >= 2, 'nothing was committed')
  for (const { handedOut, commit, ownTerm } of seen) {
    assert.ok(commit >= handedOut, `${handedOut} is handed out while ${commit} is published`)
    assert.ok(ownTerm, 'the entry of its own term is not published as committed')
  }
})

it('a node is registered once the entry that says so is applied, and not before', (t) => {
  const { engine, timeline, shared, told } = startAlone(t)
  const isRegistered = (): boolean => {
    engine.receive({ kind: 'request', id: 1, request: { method: 'status' } })
    const reply = told.findLast((message) => message.kind === 'reply')
    assert.ok(reply !== undefined)
    return (reply.value as EngineStatus).isRegistered
  }
  // The genesis is entry 1, the leader's own first entry 2, the origin that it registers 3.
  while (shared.applied() < 2 && timeline.nowMs < 60_000) assert.ok(timeline.step())
  assert.equal(shared.readEngine().isLeader, true)
  assert.equal(isRegistered(), false)
  while (!isRegistered() && timeline.nowMs < 60_000) assert.ok(timeline.step())
  assert.equal(isRegistered(), true)
  assert.equal(shared.applied(), 3)
})
