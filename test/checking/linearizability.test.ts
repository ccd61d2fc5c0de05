/** Histories of which everybody can see what they are. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkLinearizable, type Operation } from './linearizability.ts'
import {
  type Answer,
  bank,
  type RegisterInput,
  register,
  type Scalar,
  transactions,
} from './models.ts'
import { type Bug, Store } from './store.ts'
import { accounts, registers, type Workload } from './workloads.ts'

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

  it('may have one that shows after its client was told that nobody knows', () => {
    const doubted = { ...unknownWrite(1, 1, 0), returnMs: 1 }
    assert.equal(verdictOf([doubted, read(2, null, 5, 6), read(2, 1, 7, 8)]), 'linearizable')
  })

  it('may have one that never happened', () => {
    assert.equal(verdictOf([unknownWrite(1, 1, 0), read(2, null, 5, 6)]), 'linearizable')
  })

  it('is none where that write shows before it was called', () => {
    assert.equal(verdictOf([read(2, 1, 0, 1), unknownWrite(1, 1, 2)]), 'violated')
  })

  it('is none where a value was never written, or only by a write that failed', () => {
    assert.equal(verdictOf([write(1, 1, 0, 1), read(2, 7, 2, 3)]), 'violated')
  })

  it('is none where two swaps of one value were done', () => {
    const input = { kind: 'swap', key: 'x', from: 1, to: 2 } as const
    const swap = { client: 2, input, output: { isDone: true }, callMs: 2, returnMs: 9 }
    assert.equal(verdictOf([write(1, 1, 0, 1), swap]), 'linearizable')
    assert.equal(verdictOf([write(1, 1, 0, 1), swap, { ...swap, client: 3 }]), 'violated')
  })

  it('takes what happens in one moment for concurrent', () => {
    assert.equal(verdictOf([write(1, 1, 0, 5), read(2, null, 5, 6)]), 'linearizable')
  })

  it('is refused where something returned before it was called', () => {
    assert.throws(() => verdictOf([write(1, 1, 5, 4)]), RangeError)
  })
})

describe('a write that changes nothing where it comes first', () => {
  it('is no read: it may have to come later', () => {
    const history = [
      write(1, 1, 0, 1),
      // The same value once more, and another one in between.
      write(2, 1, 2, 9),
      write(3, 2, 2, 9),
      read(4, 2, 10, 11),
      read(4, 2, 12, 13),
    ]
    assert.equal(verdictOf(history), 'linearizable')
    const back = [...history.slice(0, 3), read(4, 1, 10, 11)]
    assert.equal(verdictOf(back), 'linearizable')
  })
})

describe('transactions', () => {
  const step = (kind: 'read' | 'write', key: string, value: Scalar) => ({ kind, key, value })
  const transaction = (client: number, ...steps: ReturnType<typeof step>[]) => {
    return { client, input: { steps }, output: { isDone: true }, callMs: 0, returnMs: 9 }
  }

  it('lose no update', () => {
    const first = transaction(1, step('read', 'x', null), step('write', 'x', 1))
    const second = transaction(2, step('read', 'x', null), step('write', 'x', 1))
    const { verdict } = checkLinearizable(transactions, [first, second], LIMITS)
    assert.equal(verdict, 'violated')
  })

  it('are not skewed', () => {
    const first = transaction(1, step('read', 'x', null), step('write', 'y', 1))
    const second = transaction(2, step('read', 'y', null), step('write', 'x', 1))
    const { verdict } = checkLinearizable(transactions, [first, second], LIMITS)
    assert.equal(verdict, 'violated')
    assert.equal(checkLinearizable(transactions, [first], LIMITS).verdict, 'linearizable')
  })
})

describe('a report', () => {
  it('tells how far the order went, and what was in the way', () => {
    const other = { ...write(3, 5, 0, 9), input: { kind: 'write', key: 'y', value: 5 } as const }
    const history = [other, write(1, 1, 0, 1), write(1, 2, 2, 3), read(2, 1, 4, 5.5)]
    const { partition, culprit } = checkLinearizable(register, history, LIMITS)
    assert.equal(partition, 'x')
    assert.equal(
      culprit?.text,
      [
        'register, partition x: no order explains more than 2 of these operations.',
        '  client 1 [0, 1] write x = 1',
        '  client 1 [2, 3] write x = 2',
        'then the state is 2, and none of these can follow:',
        '  client 2 [4, 5.5] read x → 1',
      ].join('\n'),
    )
  })

  it('names the partition that was not decided, unless another is violated', () => {
    const partOf = (key: string, count: number): readonly Registered[] =>
      Array.from({ length: count }, (_, client) => {
        const input = { kind: 'write', key, value: client } as const
        return { ...write(client, client, 0, 100), input }
      })
    const impossible = (key: string): Registered => {
      return { ...read(99, 1_000, 200, 201), input: { kind: 'read', key } }
    }
    const hard = [...partOf('hard', 18), impossible('hard')]
    const limits = { stepsMax: 20_000 }
    const { verdict, partition, steps, culprit } = checkLinearizable(register, hard, limits)
    assert.equal(verdict, 'undecided')
    assert.equal(partition, 'hard')
    assert.equal(culprit, undefined)
    assert.ok(steps < 2 * limits.stepsMax)
    const easy = [...hard, ...partOf('easy', 2), impossible('easy')]
    const second = checkLinearizable(register, easy, limits)
    assert.equal(second.verdict, 'violated')
    assert.equal(second.partition, 'easy')
  })

  it('comes to the same without a memory, in more steps', () => {
    const history = Array.from({ length: 5 }, (_, client) => write(client, client % 2, 0, 9))
    const wrong = [...history, read(9, 7, 10, 11)]
    const long = checkLinearizable(register, wrong, { ...LIMITS, memoryCharactersMax: 0 })
    const short = checkLinearizable(register, wrong, LIMITS)
    assert.equal(long.verdict, 'violated')
    assert.equal(short.verdict, 'violated')
    assert.ok(long.steps > 2 * short.steps, `${long.steps} steps, and ${short.steps}`)
  })
})

describe('a bank', () => {
  it('loses and makes no money, and owes none', () => {
    const model = bank([5, 5])
    const input = { kind: 'transfer', from: 0, to: 1, amount: 5 } as const
    const transfer = { client: 1, input, output: { isDone: true }, callMs: 0, returnMs: 1 }
    const again = { ...transfer, callMs: 2, returnMs: 3 }
    assert.equal(checkLinearizable(model, [transfer, again], LIMITS).verdict, 'violated')
    const refused = { ...again, output: { isDone: false } }
    assert.equal(checkLinearizable(model, [transfer, refused], LIMITS).verdict, 'linearizable')
    const seen = { client: 2, input: { kind: 'read' } as const, callMs: 0, returnMs: 1 }
    for (const [balances, verdict] of [
      [[0, 10], 'linearizable'],
      [[0, 5], 'violated'],
    ] as const) {
      const history = [transfer, { ...seen, output: { seen: balances } }]
      assert.equal(checkLinearizable(model, history, LIMITS).verdict, verdict)
    }
  })
})

describe('a history of 200 operations by 12 clients', () => {
  const workloads = { registers: [registers, 'stale cache'], accounts: [accounts, 'torn batch'] }
  for (const [name, [workload, bug]] of Object.entries(workloads)) {
    it(`is decided in few steps, of ${name}`, () => {
      const size = { seed: 5, operations: 340, clients: 12 }
      const store = workload as Workload<unknown, unknown, unknown>
      const { operations } = new Store(store, { ...size, bug: null }).run()
      assert.ok(operations.length > 200, `${operations.length} operations`)
      const limits = { stepsMax: 500_000 }
      assert.equal(checkLinearizable(store.model, operations, limits).verdict, 'linearizable')
      const wrong = new Store(store, { ...size, bug: bug as Bug }).run()
      assert.equal(checkLinearizable(store.model, wrong.operations, limits).verdict, 'violated')
    })
  }
})
