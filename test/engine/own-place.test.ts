import assert from 'node:assert/strict'
import { it } from 'node:test'
import { answerStarting } from '../../src/engine/entering.ts'
import { OwnPlace } from '../../src/engine/own-place.ts'
import type { EngineConfig } from '../../src/engine/protocol.ts'
import { CALLS, decodeMeetAnswer } from '../../src/engine/wire.ts'
import type { Raft } from '../../src/raft/raft.ts'

const CONFIG = {
  clusterId: 'ab'.repeat(16),
  memberId: 7,
  heartbeatMs: 100,
  electionTimeoutMs: 1_000,
  rejoins: true,
} as EngineConfig

function startWaiting(config: EngineConfig): {
  readonly raft: { leader: number }
  readonly pass: (ms: number) => void
  readonly sureMs: () => number | null
  readonly stop: () => void
} {
  const raft = { leader: 0 }
  const place = new OwnPlace()
  let nowMs = 0
  let sureMs: number | null = null
  let timer: { readonly atMs: number; readonly callback: () => void } | null = null
  const setTimer = (delayMs: number, callback: () => void): (() => void) => {
    timer = { atMs: nowMs + delayMs, callback }
    return () => {
      timer = null
    }
  }
  const clock = { nowMs: () => nowMs, wallMs: () => 0, setTimer }
  place.await(raft as Raft, clock, config, () => {
    assert.equal(sureMs, null, 'told twice')
    sureMs = nowMs
  })
  const pass = (ms: number): void => {
    const untilMs = nowMs + ms
    while (timer !== null && timer.atMs <= untilMs) {
      const { atMs, callback } = timer
      timer = null
      nowMs = atMs
      callback()
    }
    nowMs = untilMs
  }
  return { raft, pass, sureMs: () => sureMs, stop: () => place.stop() }
}

it('serves at once where it would not join anew', () => {
  assert.equal(startWaiting({ ...CONFIG, rejoins: false }).sureMs(), 0)
})

it('waits for a leader, who says that it is a member', () => {
  const { raft, pass, sureMs } = startWaiting(CONFIG)
  pass(3_050)
  assert.equal(sureMs(), null)
  raft.leader = 2
  pass(100)
  assert.equal(sureMs(), 3_100)
  pass(60_000)
})

it('serves what it has after ten election timeouts without a leader', () => {
  const { pass, sureMs } = startWaiting(CONFIG)
  pass(9_999)
  assert.equal(sureMs(), null)
  pass(20_000)
  assert.equal(sureMs(), 10_000)
})

it('serves nothing once it was stopped', () => {
  const { pass, sureMs, stop } = startWaiting(CONFIG)
  pass(500)
  stop()
  pass(60_000)
  assert.equal(sureMs(), null)
})

it('tells who looks for a cluster that it is a member, though it is still starting', () => {
  let answer: Uint8Array | undefined
  answerStarting(CONFIG, CALLS.meet, (error, bytes) => {
    assert.equal(error, null)
    answer = bytes
  })
  const met = decodeMeetAnswer(answer as Uint8Array)
  assert.equal(met.kind, 'member')
  assert.equal(met.kind === 'member' && Buffer.from(met.clusterId).toString('hex'), 'ab'.repeat(16))
})

it('answers nothing else while it is starting', () => {
  answerStarting(CONFIG, CALLS.meet + 1, (error) => {
    assert.equal(error?.code, 'ERR_BUSY')
    assert.equal(error?.retryable, true)
  })
})
