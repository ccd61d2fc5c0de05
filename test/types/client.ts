/**
 * Compiled, never run: what must type-check and what must not. A line that must not has an
 * expectation above it, so the compiler fails when it begins to.
 */
import type * as libsql from '@libsql/client'
import type {
  CallOptions,
  ColmenaNode,
  Database,
  NodeEvents,
  OpenOptions,
  ResultSet,
  Row,
  Value,
} from '../../src/index.ts'
import { ColmenaError, type ErrorCode, open, SqlError, withConsistency } from '../../src/index.ts'

declare const db: Database
declare const node: ColmenaNode

/** True only where the two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function same<A, B>(_proof: Same<A, B>): void {}

/** What takes libsql's client takes a database: the whole of it, against libsql's own types. */
export const client: libsql.Client = db
export const transaction: Promise<libsql.Transaction> = db.transaction('deferred')
export const result: Promise<libsql.ResultSet> = db.execute('SELECT 1')
declare const failure: SqlError
export const error: libsql.LibsqlBatchError = failure

export async function rowTypes(): Promise<void> {
  const plain = await db.execute('SELECT 1')
  same<typeof plain, ResultSet<Row>>(true)
  same<(typeof plain.rows)[number][string], Value>(true)
  const typed = await db.execute<{ id: number }>('SELECT id FROM t WHERE a = ?', [1])
  same<typeof typed.rows, { id: number }[]>(true)
  const named = await db.execute<{ id: number }>({ sql: 'SELECT :a', args: { a: 1 } })
  same<typeof named.rows, { id: number }[]>(true)
  const [first] = await db.batch<{ n: bigint }>(['SELECT 1'], 'read')
  same<typeof first, ResultSet<{ n: bigint }> | undefined>(true)
  const statement = db.reader.prepare<{ id: number }>('SELECT id FROM t')
  same<ReturnType<typeof statement.get>, { id: number } | undefined>(true)
  same<ReturnType<typeof statement.all>, { id: number }[]>(true)
  for (const row of statement.iterate()) same<typeof row, { id: number }>(true)
}

export async function calls(signal: AbortSignal | undefined): Promise<void> {
  const options: CallOptions = { signal, consistency: 'strong' }
  await db.execute('SELECT 1', undefined, options)
  await db.execute('SELECT 1', [], options)
  await db.execute({ sql: 'SELECT 1' }, options)
  await db.batch(['SELECT 1', ['SELECT ?', [1]], { sql: 'SELECT 1' }], { mode: 'read', signal })
  // @ts-expect-error: undefined is no value
  await db.execute('SELECT ?', [undefined])
  // @ts-expect-error: a level that does not exist
  await db.execute('SELECT 1', [], { consistency: 'storng' })
  // @ts-expect-error: a key that does not exist
  await db.execute('SELECT 1', [], { consistancy: 'strong' })
  // @ts-expect-error: a mode that does not exist
  await db.batch(['SELECT 1'], 'reed')
  const inside = withConsistency('none', async () => 7)
  same<typeof inside, Promise<number>>(true)
}

export async function opening(): Promise<void> {
  const more: Partial<OpenOptions> = { join: undefined, secret: ['a', 'b'], logger: {} }
  await using opened = await open({ dataDir: '.', nodeId: undefined, ...more })
  same<typeof opened, ColmenaNode>(true)
  // @ts-expect-error: where to?
  await open({})
  // @ts-expect-error: times are numbers
  await open({ dataDir: '.', heartbeatMs: '1s' })
  // @ts-expect-error: a key that does not exist
  await open({ dataDir: '.', datadir: '.' })
}

export function events(): void {
  node.on('leader', ({ id, term }) => {
    same<typeof id, string | null>(true)
    same<typeof term, number>(true)
  })
  node.on('closed', ({ reason }) => same<typeof reason, 'requested' | 'failed'>(true))
  same<NodeEvents['progress'], [event: { readonly index: number }]>(true)
  node.on('applied', ({ index, database, statements, results, error }) => {
    same<typeof index, number>(true)
    same<typeof database, string>(true)
    same<(typeof statements)[number]['sql'], string>(true)
    same<(typeof results)[number], ResultSet>(true)
    same<typeof error, ColmenaError | undefined>(true)
  })
  // @ts-expect-error: a misspelt event
  node.on('leeder', () => {})
  // @ts-expect-error: another event's field
  node.on('applied', ({ term }) => term)
}

/** Every code is one that a program can switch on. */
export function errors(error: unknown): ErrorCode | undefined {
  if (error instanceof SqlError) same<typeof error.statementIndex, number>(true)
  if (!(error instanceof ColmenaError)) return undefined
  same<typeof error.outcome, 'not-applied' | 'committed' | 'unknown'>(true)
  // @ts-expect-error: no such code
  if (error.code === 'ERR_NOT_A_CODE') return undefined
  return error.code
}
