/** Histories of which everybody can see what they are. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkLinearizable, type Operation } from './linearizability.ts'
import { type Answer, type RegisterInput, register, type Scalar } from './models.ts'

type Registered = Operation<RegisterInput, Answer<Scalar>>

const LIMITS = { stepsMax: 10_000 }

function write(client: number, value: Scalar, callMs: number, returnMs: number): Registered {
  const input = { kind: 'write', key: 'x', value } as const
  return { client, input, output: { isDone: true }, callMs, returnMs }
}

function unknownWrite(client: number, value: Scalar, callMs: number): Registered {
  return { ...write(client, value, callMs, Infinity), output: null }
}

function read(client: number, seen: Scalar, callMs: number, returnMs: number): Registered {
  return { client, input: { kind: 'read', key: 'x' }, output: { seen }, callMs, returnMs }
}

function verdictOf(operations: readonly Registered[]): string {
  return checkLinearizable(register, operations, LIMITS).verdict
}

describe('a history of a register', () => {
  it('is linearizable where a read saw the old value while a write was under way', () => {
    assert.equal(
      verdictOf([write(1, 1, 0, 10), read(2, null, 2, 3), read(2, 1, 4, 5)]),
      'linearizable',
    )
  })

  it('is none where a read is stale', () => {
    assert.equal(verdictOf([write(1, 1, 0, 1), write(1, 2, 2, 3), read(2, 1, 4, 5)]), 'violated')
  })

  it('is none where reads go back', () => {
    assert.equal(verdictOf([write(1, 1, 0, 10), read(2, 1, 1, 2), read(3, null, 3, 4)]), 'violated')
  })

  it('may have a write of unknown outcome, which shows late', () => {
    assert.equal(
      verdictOf([unknownWrite(1, 1, 0), read(2, null, 5, 6), read(2, 1, 7, 8)]),
      'linearizable',
    )
  })

  it('is none where that write vanishes again', () => {
    assert.equal(
      verdictOf([unknownWrite(1, 1, 0), read(2, 1, 5, 6), read(2, null, 7, 8)]),
      'violated',
    )
  })
})
