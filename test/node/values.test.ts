import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { SqlValue } from '../../src/command/command.ts'
import { nearestName } from '../../src/node/nearest.ts'
import { createResultSet, type Row } from '../../src/node/result-set.ts'
import { keepStatement, toArgs, toBatchStatement, toStatement } from '../../src/node/statement.ts'

function resultOf(columns: string[], values: SqlValue[]): Row {
  const result = createResultSet<Row>(
    { columns, columnTypes: [], rows: [values] },
    { index: 1, level: 'weak' },
  )
  return result.rows[0] as Row
}

suite('rows', () => {
  test('are plain objects by name, and have position and length unseen', () => {
    const row = resultOf(['a', 'b'], [1n, 'x'])
    assert.deepEqual(row, { a: 1, b: 'x' })
    assert.deepEqual(Object.keys(row), ['a', 'b'])
    assert.deepEqual([row[0], row[1], row.length], [1, 'x', 2])
    assert.equal(JSON.stringify(row), '{"a":1,"b":"x"}')
    assert.deepEqual(Array.from(row), [1, 'x'])
  })

  test('keep both of two columns with one name by position', () => {
    const row = resultOf(['a', 'a'], [1n, 2n])
    assert.deepEqual([row['a'], row[0], row[1]], [1, 1, 2])
  })

  test('take any column name as it is', () => {
    const row = resultOf(['__proto__', 'length', '0', 'constructor'], [1n, 2n, 3n, 4n])
    assert.equal(Object.getPrototypeOf(row), Object.prototype)
    assert.deepEqual(Object.entries(row), [
      ['__proto__', 1],
      ['constructor', 4],
    ])
    assert.deepEqual([row.length, row[0], row[1], row[2]], [4, 1, 2, 3])
  })

  test('have integers as numbers where that is exact', () => {
    const { a, b, c, d } = resultOf(
      ['a', 'b', 'c', 'd'],
      [2n ** 53n - 1n, 2n ** 53n, -(2n ** 53n) + 1n, -(2n ** 63n)],
    )
    assert.deepEqual([a, b, c, d], [2 ** 53 - 1, 2n ** 53n, -(2 ** 53) + 1, -(2n ** 63n)])
  })

  test('have blobs as buffers of their own', () => {
    const shared = new Uint8Array([0, 1, 2, 3])
    const { a } = resultOf(['a'], [shared.subarray(1, 3)])
    assert.ok(a instanceof ArrayBuffer)
    assert.deepEqual([...new Uint8Array(a)], [1, 2])
  })

  test('go into JSON without loss', () => {
    const rows = [[2n ** 60n, new Uint8Array([255]), null, 0.5]]
    const columns = ['a', 'b', 'c', 'd']
    const result = createResultSet(
      { columns, columnTypes: [], rows, lastInsertRowid: 7n },
      { index: 3, term: 2, timing: { committedMs: 1, appliedMs: 2 } },
    )
    assert.deepEqual(JSON.parse(JSON.stringify(result)), {
      columns,
      columnTypes: [],
      rows: [[String(2n ** 60n), '/w==', null, 0.5]],
      rowsAffected: 0,
      lastInsertRowid: '7',
    })
  })
})

suite('arguments', () => {
  test('by position and by name, with or without the mark', () => {
    assert.deepEqual(toArgs([1, 1.5, 'a', null, true]), [1n, 1.5, 'a', null, 1n])
    const named = new Map<string, SqlValue>([
      ['a', 1n],
      ['b', 2n],
      ['c', 3n],
      ['d', 4n],
    ])
    assert.deepEqual(toArgs({ a: 1, ':b': 2, '@c': 3, $d: 4 }), named)
  })

  test("are the caller's own again at once", () => {
    const bytes = new Uint8Array([1, 2])
    const { args: list } = keepStatement(toStatement('x', [bytes]))
    const { args: named } = keepStatement(toStatement('x', { a: bytes }))
    bytes.fill(0)
    assert.deepEqual(list, [new Uint8Array([1, 2])])
    assert.deepEqual(named, new Map([['a', new Uint8Array([1, 2])]]))
  })

  test('what SQLite can not hold is refused by name', () => {
    const invalid = (args: unknown, message: RegExp): void =>
      assert.throws(() => toStatement('x', args), { code: 'ERR_INVALID_ARGUMENT', message })
    invalid([1, undefined], /argument 2 is a value of type undefined; pass null/)
    invalid({ a: Number.NaN }, /argument 'a' is NaN/)
    invalid([2n ** 63n], /argument 1 is 9223372036854775808/)
    invalid([{}], /argument 1 is an object of class Object/)
    invalid('text', /args must be an array/)
    invalid(new Uint8Array(1), /args must be an array/)
    invalid(new Map([['a', 1]]), /args must be an array/)
    invalid(new Array(40_000).fill(0), /40000 arguments/)
  })

  test('a statement of a batch is named by its number', () => {
    const at = (input: unknown, message: RegExp): void =>
      assert.throws(() => toBatchStatement(input, 2, false), {
        code: 'ERR_INVALID_ARGUMENT',
        message,
      })
    at(undefined, /statement 3: pass SQL text/)
    at({ sql: 1 }, /statement 3: the SQL is of type number/)
    at(['x', [undefined]], /statement 3: argument 1/)
    assert.deepEqual(toBatchStatement(['x', [1]], 0, false), { sql: 'x', args: [1n] })
    assert.deepEqual(toBatchStatement({ sql: 'x' }, 0, false), { sql: 'x', args: [] })
    assert.deepEqual(toBatchStatement('x', 0, false), { sql: 'x', args: [] })
  })
})

suite('the nearest name', () => {
  test('is found by edits, and not at any price', () => {
    assert.equal(nearestName('consistancy', ['signal', 'consistency']), 'consistency')
    assert.equal(nearestName('qqqqqqqq', ['signal', 'consistency']), undefined)
  })
})
