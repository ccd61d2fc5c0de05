import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Decisions } from '../../src/engine/decisions.ts'
import type { EngineToUser } from '../../src/engine/engine.ts'

const NAMES = new Map([
  [1, 'ann'],
  [2, 'bea'],
])

function create(isOn: boolean): { readonly decisions: Decisions; readonly lines: string[] } {
  const lines: string[] = []
  const toUser = (message: EngineToUser): void => {
    assert.equal(message.kind, 'decision')
    if (message.kind === 'decision') lines.push(message.line)
  }
  return { decisions: new Decisions({ isOn, toUser }), lines }
}

suite('decisions', () => {
  test('are listened to by nobody while they are off', () => {
    const { decisions, lines } = create(false)
    assert.equal(decisions.trace, undefined)
    decisions.say('processGone', { from: 2 })
    assert.deepEqual(lines, [])
  })

  test('are lines with the names of members, the index and the term', () => {
    const { decisions, lines } = create(true)
    const trace = decisions.trace
    assert.ok(trace !== undefined)
    trace({ level: 'info', code: 'becameFollower', args: [1, 3] })
    trace({ level: 'info', code: 'started', args: [1, [1, 2], 3, 8, 7, 9, 3] })
    decisions.attach({ lastIndex: 12, term: 4 }, (id) => NAMES.get(id) ?? null)
    trace({ level: 'info', code: 'voteReceived', args: [1, 'voteResponse', 2, 4] })
    // No decision, but one of thousands of messages.
    trace({ level: 'debug', code: 'appendRejected', args: [1, 2, 3, 4, 5, 6] })
    const state = { voters: [1, 2], learners: [3], votersOutgoing: [], autoLeave: false }
    trace({ level: 'info', code: 'configurationSwitched', args: [1, state] })
    decisions.say('leaderSeen', { leader: 0 })
    assert.deepEqual(lines, [
      'started voters=1,2 term=3 commit=8 applied=7 index=9',
      'voteReceived type=voteResponse from=bea index=12 term=4',
      'configurationSwitched configuration=voters:ann,bea/learners:3/autoLeave:false ' +
        'index=12 term=4',
      'leaderSeen leader=none index=12 term=4',
    ])
  })
})
