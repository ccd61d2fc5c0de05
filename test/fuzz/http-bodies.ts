/** What clients of the server send: bodies of libsql's protocol, whole or with one strange part. */
import fc from 'fast-check'
import { record } from './values.ts'

/** Each is written with a parameter, and asks for at most one row. */
const READS = ['SELECT ?', 'SELECT count(*) FROM t WHERE v = ?', 'SELECT v FROM t WHERE v = ?']
const WRITES = ['INSERT INTO t (v) VALUES (?)']
/** No SQL at all, or refused. */
const OTHERS = ['', ';', 'SELECT', 'SELECT ?; SELECT 2', 'COMMIT', 'PRAGMA x', 'SELECT "\u0000']

const base64 = fc
  .uint8Array({ maxLength: 40 })
  .map((bytes) => Buffer.from(bytes).toString('base64'))
const integer = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })

const value: fc.Arbitrary<unknown> = fc.oneof(
  fc.constant({ type: 'null' }),
  integer.map((made) => ({ type: 'integer', value: String(made) })),
  fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .map((made) => ({ type: 'float', value: made })),
  fc.string({ unit: 'binary', maxLength: 20 }).map((made) => ({ type: 'text', value: made })),
  base64.map((made) => ({ type: 'blob', base64: made })),
)

const sql = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...READS) },
  { weight: 3, arbitrary: fc.constantFrom(...WRITES) },
  { weight: 1, arbitrary: fc.constantFrom(...OTHERS) },
)
const statement = record({ sql, args: value.map((made) => [made]) })
const stored = record({ sql_id: fc.nat(3), args: value.map((made) => [made]) })

const condition: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    record({ type: fc.constantFrom('ok', 'error'), step: fc.nat(2) }),
    record({ type: fc.constant('is_autocommit') }),
    record({ type: fc.constant('not'), cond: tie('any') }),
    record({
      type: fc.constantFrom('and', 'or'),
      conds: fc.array(tie('any'), { maxLength: 3 }),
    }),
  ),
})).any

const batch = record({
  steps: fc.array(record({ condition: fc.option(condition), stmt: statement }), { maxLength: 4 }),
})

export const request: fc.Arbitrary<unknown> = fc.oneof(
  record({ type: fc.constant('execute'), stmt: fc.oneof(statement, stored) }),
  record({ type: fc.constant('batch'), batch }),
  record({ type: fc.constantFrom('sequence', 'describe'), sql }),
  record({ type: fc.constant('store_sql'), sql_id: fc.nat(3), sql }),
  record({ type: fc.constant('close_sql'), sql_id: fc.nat(3) }),
  record({ type: fc.constantFrom('close', 'get_autocommit') }),
)

/** What is no value of the protocol, at least not at most places. */
export const odd: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    ...[
      undefined,
      null,
      true,
      -1,
      0,
      1.5,
      2 ** 31,
      2 ** 53,
      -(2 ** 60),
      1e308,
      '',
      ' ',
      '0x10',
      '١',
      'AA=A',
    ],
    ...['9223372036854775808', '-9223372036854775809', '\u0000', '\ud800', '__proto__', [], {}],
    { type: 'integer', value: 1 },
    { type: 'blob', base64: 'A' },
    { type: 'float', value: 'Infinity' },
    JSON.parse('{"__proto__":{"type":"close"}}'),
    nested(2_000),
  ),
  fc.jsonValue({ maxDepth: 3 }),
)

function nested(depth: number): unknown {
  let inner: unknown = {}
  for (let i = 0; i < depth; i += 1) inner = i % 2 === 0 ? { cond: inner, type: 'not' } : [inner]
  return inner
}

/** Another value at one place of it, whichever comes there. */
export function replaceOne(body: unknown, at: number, by: unknown): unknown {
  let left = at % countOf(body)
  const walk = (part: unknown): unknown => {
    if (left-- === 0) return by
    if (Array.isArray(part)) return part.map(walk)
    if (typeof part !== 'object' || part === null) return part
    return Object.fromEntries(Object.entries(part).map(([key, inner]) => [key, walk(inner)]))
  }
  return walk(body)
}

function countOf(part: unknown): number {
  if (typeof part !== 'object' || part === null) return 1
  return Object.values(part).reduce((sum: number, inner) => sum + countOf(inner), 1)
}

export const pipelineBody: fc.Arbitrary<unknown> = record({
  baton: fc.constant(null),
  requests: fc.array(request, { maxLength: 4 }),
})
export const cursorBody: fc.Arbitrary<unknown> = record({ baton: fc.constant(null), batch })
