import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  decodeWriteHeader,
  encodeEmptyWrite,
  encodeHashContent,
  encodeRegisterOrigin,
  WriteEncoder,
} from '../../src/command/command.ts'
import { Proposals } from '../../src/engine/proposals.ts'
import type { Refusal } from '../../src/engine/wire.ts'
import type { Raft } from '../../src/raft/raft.ts'

const ORIGIN = 'cd'.repeat(16)

function write(sequence: number, database = 'main'): Uint8Array {
  return encodeEmptyWrite({ origin: ORIGIN, database, sequence })
}

function createProposals(): {
  proposals: Proposals
  proposed: Uint8Array[][]
  refusals: (Refusal & { to: number })[]
  tried: string[]
  core: { takes: boolean; wallMs: number }
} {
  const core = { takes: true, wallMs: 1_000 }
  const proposed: Uint8Array[][] = []
  const refusals: (Refusal & { to: number })[] = []
  const raft: Pick<Raft, 'propose'> = {
    propose: (datas) => {
      if (!core.takes) return 'dropped'
      proposed.push([...datas])
      return 'ok'
    },
  }
  const tried: string[] = []
  let drawn = 0
  const proposals = new Proposals({
    raft,
    clock: { nowMs: () => 0, wallMs: () => core.wallMs, setTimer: () => () => {} },
    random: { u32: () => (drawn += 1) },
    pack: (bytes) => bytes,
    tried: (database, key) => void tried.push(`${database} ${key}`),
    refuse: (to, refusal) => refusals.push({ to, ...refusal }),
  })
  return { proposals, proposed, refusals, tried, core }
}

function sequences(batch: readonly Uint8Array[] | undefined): number[] {
  return (batch ?? []).map((bytes) => decodeWriteHeader(bytes).sequence)
}

describe('proposals', () => {
  it('proposes what came in one turn at once, frozen', () => {
    const { proposals, proposed } = createProposals()
    proposals.gather(2, write(5), true)
    proposals.gather(2, write(6), false)
    proposals.flush()
    assert.equal(proposed.length, 1)
    assert.deepEqual(sequences(proposed[0]), [5, 6])
    const [first, second] = (proposed[0] ?? []).map((bytes) => decodeWriteHeader(bytes))
    assert.equal(first?.environment.wallMs, 1_000)
    assert.notEqual(first?.environment.seedLow, second?.environment.seedLow)
  })

  it('never freezes an older time than before', () => {
    const { proposals, proposed, core } = createProposals()
    proposals.gather(2, write(1), true)
    core.wallMs = 500
    proposals.gather(2, write(2), false)
    proposals.flush()
    const times = (proposed[0] ?? []).map((bytes) => decodeWriteHeader(bytes).environment.wallMs)
    assert.deepEqual(times, [1_000, 1_000])
  })

  it('drops what this term has already, and asks for what is missing, once', () => {
    const { proposals, proposed, refusals } = createProposals()
    proposals.gather(2, write(1), true)
    proposals.gather(2, write(1), false)
    proposals.gather(2, write(3), false)
    proposals.gather(2, write(4), false)
    proposals.flush()
    assert.deepEqual(sequences(proposed[0]), [1])
    assert.deepEqual(refusals, [{ to: 2, database: 'main', sequence: 2 }])
    proposals.gather(2, write(2), true)
    proposals.gather(2, write(3), false)
    proposals.flush()
    assert.deepEqual(sequences(proposed[1]), [2, 3])
  })

  it('asks an origin it does not know for everything', () => {
    const { proposals, proposed, refusals } = createProposals()
    proposals.gather(3, write(7), false)
    proposals.flush()
    assert.deepEqual(proposed, [])
    assert.deepEqual(refusals, [{ to: 3, database: 'main', sequence: 0 }])
  })

  it('takes nothing behind a refused command until that one comes again', () => {
    const { proposals, proposed, refusals, core } = createProposals()
    core.takes = false
    proposals.gather(2, write(1), true)
    proposals.gather(2, write(2), false)
    proposals.flush()
    core.takes = true
    proposals.gather(2, write(3), false)
    proposals.flush()
    assert.deepEqual(proposed, [])
    assert.deepEqual(refusals, [{ to: 2, database: 'main', sequence: 1 }])
    for (const sequence of [1, 2, 3]) proposals.gather(2, write(sequence), sequence === 1)
    proposals.flush()
    assert.deepEqual(sequences(proposed[0]), [1, 2, 3])
  })

  it('refuses writes while they are stopped, and takes what the cluster has to say', () => {
    const { proposals, proposed, refusals } = createProposals()
    const bytes = encodeHashContent('ab'.repeat(16))
    proposals.gather(2, write(5), true)
    proposals.gather(2, bytes, true)
    proposals.flush(false, true)
    assert.deepEqual(proposed, [[bytes]])
    assert.deepEqual(refusals, [{ to: 2, database: 'main', sequence: 5 }])
  })

  it('refuses everything while the log is full', () => {
    const { proposals, proposed, refusals } = createProposals()
    proposals.gather(2, write(1), true)
    proposals.flush(true)
    assert.deepEqual(proposed, [])
    assert.deepEqual(refusals, [{ to: 2, database: 'main', sequence: 1 }])
  })

  it('lets a restart go back, because a new leader may lack what the old one had', () => {
    const { proposals, proposed } = createProposals()
    proposals.gather(2, write(8), true)
    proposals.flush()
    proposals.gather(2, write(6), true)
    proposals.gather(2, write(7), false)
    proposals.flush()
    assert.deepEqual(sequences(proposed[1]), [6, 7])
  })

  it('passes control commands through', () => {
    const { proposals, proposed } = createProposals()
    const bytes = encodeRegisterOrigin({
      memberId: 9,
      origin: ORIGIN,
      previous: '',
      fingerprint: 'one',
      formatMax: 1,
    })
    proposals.gather(2, bytes, true)
    proposals.flush()
    assert.deepEqual(proposed, [[bytes]])
  })

  it('holds writes at a closed gate, and lets transactions that were tried pass it', () => {
    const { proposals, proposed, tried } = createProposals()
    proposals.closeGate('main')
    proposals.gather(2, write(1), true)
    proposals.gather(2, write(2), false)
    // Sent again from the start: what was held before is not wanted twice.
    proposals.gather(2, write(1), true)
    const encoder = new WriteEncoder()
    encoder.add({ statements: [] })
    const header = { origin: 'ab'.repeat(16), database: 'main', sequence: 9 }
    proposals.gather(3, encoder.finish(header, { trial: { base: 1, outcomes: [] } }), false)
    proposals.flush()
    assert.deepEqual(proposed.map(sequences), [[9]])
    assert.deepEqual(tried, [`main ${'ab'.repeat(16)}/9`])
    proposals.openGate('main')
    proposals.flush()
    assert.deepEqual(proposed.map(sequences), [[9], [1]])
  })
})
