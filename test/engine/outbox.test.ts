import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeWrite, WriteEncoder } from '../../src/command/command.ts'
import { Outbox, type Sending, type Way } from '../../src/engine/outbox.ts'
import type { ErrorMessage } from '../../src/engine/protocol.ts'

const ORIGIN = 'ab'.repeat(16)

function command(sequence: number, sql = `INSERT INTO t VALUES (${sequence})`): Uint8Array {
  const encoder = new WriteEncoder()
  encoder.add({ statements: [{ sql, args: [] }] })
  return encoder.finish({ origin: ORIGIN, database: 'main', sequence })
}

function createOutbox(): {
  outbox: Outbox
  clock: { atMs: number }
  rejected: { sequence: number; error: ErrorMessage }[]
  flush: (capacity?: number, way?: Way) => { sequence: number; units: number; sending: Sending }[]
} {
  const clock = { atMs: 0 }
  const rejected: { sequence: number; error: ErrorMessage }[] = []
  const outbox = new Outbox({
    clock: { nowMs: () => clock.atMs, wallMs: () => 0, setTimer: () => () => {} },
    leaderWaitMs: 2_000,
    resendMs: 1_000,
    rejected: (_database, from, _to, error) => rejected.push({ sequence: from, error }),
  })
  const flush = (
    capacity = 1_000,
    way: Way = 'log',
  ): ReturnType<ReturnType<typeof createOutbox>['flush']> => {
    const sent: { sequence: number; units: number; sending: Sending }[] = []
    outbox.flush((bytes, sending) => {
      if (sent.length >= capacity) return 'none'
      const { sequence, units } = decodeWrite(bytes)
      sent.push({ sequence, units: units.length, sending })
      return way
    })
    return sent
  }
  return { outbox, clock, rejected, flush }
}

describe('outbox', () => {
  it('sends each command once, in order, the first as a restart', () => {
    const { outbox, flush } = createOutbox()
    for (const sequence of [1, 2, 3]) outbox.add('main', sequence, command(sequence))
    const sent = flush()
    assert.deepEqual(
      sent.map(({ sequence }) => sequence),
      [1, 2, 3],
    )
    assert.deepEqual(
      sent.map(({ sending }) => sending.isRestart),
      [true, false, false],
    )
    assert.deepEqual(flush(), [])
  })

  it('begins again where the link was lost: what went out on it may be lost too', () => {
    const { outbox, flush } = createOutbox()
    for (const sequence of [1, 2, 3]) outbox.add('main', sequence, command(sequence))
    assert.equal(flush(1).length, 1)
    const sent = flush()
    assert.deepEqual(
      sent.map(({ sequence }) => sequence),
      [1, 2, 3],
    )
    assert.equal(sent[0]?.sending.isRestart, true)
  })

  it('sends everything that is not applied again after a new leader', () => {
    const { outbox, flush } = createOutbox()
    for (const sequence of [1, 2, 3]) outbox.add('main', sequence, command(sequence))
    flush()
    outbox.applied({ database: 'main', sequence: 1 })
    outbox.resendAll()
    const sent = flush()
    assert.deepEqual(
      sent.map(({ sequence }) => sequence),
      [2, 3],
    )
    assert.ok(sent.every(({ sending }) => sending.wasSent))
    assert.equal(sent[0]?.sending.isRestart, true)
  })

  it('goes back to the sequence that the leader refused', () => {
    const { outbox, flush } = createOutbox()
    for (const sequence of [1, 2, 3, 4]) outbox.add('main', sequence, command(sequence))
    flush()
    outbox.refused('main', 3)
    assert.deepEqual(
      flush().map(({ sequence }) => sequence),
      [3, 4],
    )
    outbox.refused('main', 0)
    assert.deepEqual(
      flush().map(({ sequence }) => sequence),
      [1, 2, 3, 4],
    )
  })

  it('keeps the slot of a command that found no leader, empty', () => {
    const { outbox, clock, rejected, flush } = createOutbox()
    outbox.add('main', 1, command(1))
    clock.atMs = 1_500
    outbox.add('main', 2, command(2))
    clock.atMs = 2_001
    outbox.expire()
    assert.deepEqual(
      rejected.map(({ sequence, error }) => [sequence, error.code, error.outcome]),
      [[1, 'ERR_NO_LEADER', 'not-applied']],
    )
    assert.deepEqual(
      flush().map(({ sequence, units }) => [sequence, units]),
      [
        [1, 0],
        [2, 1],
      ],
    )
  })

  it('asks of the database, with an empty command, what the command asked that it replaces', () => {
    const { outbox, clock } = createOutbox()
    const settings = { doubleQuotedStrings: true, changes: true }
    const header = { origin: ORIGIN, database: 'main', sequence: 1, ...settings }
    outbox.add('main', 1, new WriteEncoder().finish(header))
    clock.atMs = 2_001
    outbox.expire()
    const asked: unknown[] = []
    outbox.flush((bytes) => {
      const { doubleQuotedStrings, changes } = decodeWrite(bytes)
      asked.push({ doubleQuotedStrings, changes })
      return 'log'
    })
    assert.deepEqual(asked, [settings])
  })

  it('never gives up what may be in a log', () => {
    const { outbox, clock, rejected, flush } = createOutbox()
    outbox.add('main', 1, command(1))
    flush()
    outbox.resendAll()
    clock.atMs = 60_000
    outbox.expire()
    assert.deepEqual(rejected, [])
    assert.deepEqual(
      flush().map(({ units }) => units),
      [1],
    )
  })

  it('sends again what was not applied for long, less and less often', () => {
    const { outbox, clock, flush } = createOutbox()
    outbox.add('main', 1, command(1))
    flush()
    const resent: number[] = []
    for (clock.atMs = 100; clock.atMs <= 8_000; clock.atMs += 100) {
      outbox.resendOverdue()
      if (flush().length > 0) resent.push(clock.atMs)
    }
    assert.deepEqual(resent, [1_000, 3_000, 7_000])
  })

  it('counts each database on its own', () => {
    const { outbox, flush } = createOutbox()
    outbox.add('main', 1, command(1))
    outbox.add('other', 1, command(1))
    flush()
    outbox.refused('other', 1)
    assert.equal(flush().length, 1)
    outbox.applied({ database: 'main', sequence: 1 })
    assert.equal(outbox.isEmpty, false)
    outbox.applied({ database: 'other', sequence: 1 })
    assert.equal(outbox.isEmpty, true)
  })

  it('gives back the bytes of what went over a link, once, when it is applied', () => {
    const { outbox, flush } = createOutbox()
    const commands = [1, 2, 3].map((sequence) => command(sequence))
    for (const [i, bytes] of commands.entries()) outbox.add('main', i + 1, bytes)
    flush(1, 'log') // The link is full after the first: all goes out again.
    flush(2, 'link')
    outbox.refused('main', 2)
    flush(3, 'link')
    outbox.applied({ database: 'main', sequence: 3 })
    const sizes = commands.map(({ length }) => length)
    assert.ok((sizes[0] as number) > 0, 'the first is in a log')
    assert.ok((sizes[1] as number) > 0, 'the second may wait in the link a second time')
    assert.equal(sizes[2], 0)
  })
})
