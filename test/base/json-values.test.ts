/** What users' code hands from node to node: it arrives as it was, or does not leave. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import vm from 'node:vm'
import { DecodeError } from '../../src/base/bytes.ts'
import { decodeJson, encodeJson } from '../../src/base/json-values.ts'

const bounds = { what: 'the request', bytesMax: 1_000 }

function travelled(value: unknown): unknown {
  return decodeJson(encodeJson(value, bounds))
}

suite('a value', () => {
  for (const value of [
    null,
    undefined,
    true,
    '',
    'naïve \ud83d\ude00 \ud800',
    -1.5e-300,
    -0,
    2n ** 70n,
    -3n,
    new Date(-62_198_755_200_000),
    new Uint8Array([0, 255, 7]),
    new Uint8Array(),
    [],
    [undefined, [null], 1n],
    {},
    { a: { b: [new Date(5), { c: new Uint8Array([1]) }] }, u: undefined },
    { $bigint: '5' },
    { $minusZero: true },
    { $date: 5, more: 1 },
    { $$bigint: '5', $: { $undefined: true } },
    JSON.parse('{"__proto__":{"admin":true},"constructor":1}'),
  ]) {
    test(`arrives as it was: ${typeof value} ${encodeJson(value, bounds).length}`, () => {
      assert.deepEqual(travelled(value), value)
    })
  }

  test('arrives as plain bytes, whatever it was a part of', () => {
    const part = Buffer.from('xabcx').subarray(1, 4)
    const bytes = travelled(part) as Uint8Array
    assert.equal(Object.getPrototypeOf(bytes), Uint8Array.prototype)
    assert.deepEqual(bytes, new Uint8Array([97, 98, 99]))
    assert.equal(bytes.buffer.byteLength, 3)
  })

  test('of another realm is as good', () => {
    const value: unknown = vm.runInNewContext('({ at: new Date(7), list: [1n], n: { a: 1 } })')
    assert.deepEqual(travelled(value), { at: new Date(7), list: [1n], n: { a: 1 } })
  })
})

suite('what would arrive as something else', () => {
  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  for (const [what, value, place] of [
    ['NaN', { amounts: [1, Number.NaN] }, 'the request.amounts[1] is NaN'],
    ['infinity', Number.NEGATIVE_INFINITY, 'the request is -Infinity'],
    ['a function', { run: () => 1 }, 'the request.run is a function'],
    ['a symbol', [Symbol('s')], 'the request[0] is a symbol'],
    ['a date that is none', { at: new Date(Number.NaN) }, 'the request.at is no valid date'],
    ['a map', { by: new Map() }, 'the request.by is of class Map'],
    ['an object of a class', new URL('http://localhost'), 'the request is of class URL'],
    ['other numbers in bytes', new Float64Array(1), 'the request is of class Float64Array'],
    ['a circle', circle, 'self.self is more than 200 levels deep'],
  ] as const) {
    test(`does not leave: ${what}`, () => {
      assert.throws(
        () => encodeJson(value, bounds),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'ERR_INVALID_ARGUMENT')
          assert.ok(error.message.includes(place), error.message)
          return true
        },
      )
    })
  }

  test('does not leave: more than the bound, counted in bytes', () => {
    const bytes = encodeJson('é'.repeat(499), bounds)
    assert.equal(bytes.length, bounds.bytesMax)
    assert.throws(() => encodeJson('é'.repeat(500), bounds), {
      code: 'ERR_TOO_LARGE',
      message: /the request takes 1002 bytes, at most 1000 travel/,
    })
  })
})

test('bytes that nobody encoded are no value', () => {
  for (const text of [
    '',
    '{',
    '{"$bigint":5}',
    '{"$bigint":"five"}',
    '{"$later":1}',
    '['.repeat(300) + ']'.repeat(300),
  ]) {
    assert.throws(() => decodeJson(Buffer.from(text)), DecodeError, text)
  }
  assert.throws(() => decodeJson(new Uint8Array([0x22, 0xff, 0x22])), DecodeError)
})
