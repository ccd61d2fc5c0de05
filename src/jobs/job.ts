import { randomUUID } from 'node:crypto'
import { ColmenaError, type InputStatement, type InputValue } from '../index.ts'
import {
  type EnqueueConfig,
  type EnqueueOptions,
  mergeOptions,
  toEnqueueConfig,
} from './enqueue-options.ts'
import { checkKeys, invalid, show } from './invalid.ts'
import { argsToJson } from './json.ts'
import { dense, NOW } from './schema.ts'
import { checkSchema, type StandardSchema, validate, validateNow } from './standard-schema.ts'

/** A key that all processes share: the name of a type, with what it takes and what comes of it. */
export interface Job<Args = unknown, Result = unknown> {
  readonly type: string
  /**
   * The insert of one job, for a batch, a transaction or the transaction of another tool, on the
   * database of {@link JobsOptions.database}: the job is there if those rows are.
   *
   * @throws ColmenaError ERR_INVALID_ARGUMENT as `enqueue`; also where the schema validates
   * asynchronously.
   */
  statement(args: Args, options?: EnqueueOptions | undefined): JobStatement
  /** Never there: what carries the types. */
  readonly result?: (result: Result) => void
}

export interface JobStatement extends InputStatement {
  readonly sql: string
  readonly args: InputValue[]
  /** Of the job that it inserts, unless its `uniqueKey` is taken. */
  readonly id: string
}

export interface JobOptions<Args> {
  /** Any Standard Schema (zod, valibot, arktype): asked at enqueue, and before each attempt. */
  readonly schema?: StandardSchema<Args> | undefined
  /** What `enqueue` takes, for all jobs of the type that say nothing else. */
  readonly defaults?: Omit<EnqueueOptions, 'runAt' | 'uniqueKey' | 'after'> | undefined
}

const TYPE = /^[\w.:/-]{1,128}$/

const kept = new WeakMap<object, JobOptions<unknown>>()

/**
 * A typed key for jobs of one type.
 *
 * @param type 1 to 128 of letters, digits and `_.:/-`
 * @throws ColmenaError ERR_INVALID_ARGUMENT
 * @example
 * const scrape = job<{ url: string }, { bytes: number }>('scrape')
 */
export function job<Args = undefined, Result = void>(
  type: string,
  options: JobOptions<Args> = {},
): Job<Args, Result> {
  checkType(type)
  checkKeys(options, ['schema', 'defaults'], `job('${type}')`)
  checkSchema(type, options.schema)
  toEnqueueConfig(mergeOptions(undefined, options.defaults))
  const made: Job<Args, Result> = {
    type,
    statement: (args, more) => {
      validateNow(type, options.schema, args)
      return insertOf(made, args, more)
    },
  }
  kept.set(made, options as JobOptions<unknown>)
  return Object.freeze(made)
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
export function checkType(type: unknown): asserts type is string {
  if (typeof type === 'string' && TYPE.test(type)) return
  throw new ColmenaError(
    'ERR_INVALID_ARGUMENT',
    `the type of a job is 1 to 128 of letters, digits and _.:/-, not ${show(type)}`,
  )
}

export function optionsOf(key: Job<never, never>): JobOptions<unknown> {
  return kept.get(key) ?? {}
}

/** The same insert, for a schema that may take its time. */
export async function toInsert<Args>(
  key: Job<Args, never>,
  args: Args,
  options: EnqueueOptions | undefined,
): Promise<JobStatement> {
  const { schema } = optionsOf(key as Job<never, never>)
  // What it makes of them is for the handler: it is asked again there, of what was given here.
  await validate(key.type, schema, args)
  return insertOf(key, args, options)
}

function insertOf(
  key: Job<never, never>,
  args: unknown,
  options: EnqueueOptions | undefined,
): JobStatement {
  const config = toEnqueueConfig(mergeOptions(optionsOf(key).defaults, options))
  const id = randomUUID()
  const json = argsToJson(args, `the arguments of '${key.type}'`)
  return { id, sql: INSERT, args: insertArgs(id, key.type, json, config) }
}

const COLUMNS = `id, type, args, state, ready, priority, run_at, max_attempts, tries, timeout_ms,
  backoff,  unique_key, lane, tags, after, after_failure, enqueued_at`

function rowOf(id: string, args: string): string {
  return `${id}, ?2, ${args}, CASE WHEN ?12 IS NULL THEN 'pending' ELSE 'waiting' END,
    CASE WHEN ?12 IS NULL THEN coalesce(?5, ${NOW} + ?6) <= ${NOW} END,
    ?4, coalesce(?5, ${NOW} + ?6), ?7, ?7, ?8, ?9, ?10, ?11, ?14, ?12, ?13, ${NOW}`
}

/** As long as one with its unique key is not finished, no second one is made. */
export const INSERT: string = dense(`INSERT INTO colmena_jobs (${COLUMNS})
  SELECT ${rowOf('?1', '?3')} WHERE true
  ON CONFLICT (type, unique_key) WHERE unique_key IS NOT NULL AND finished_at IS NULL DO NOTHING`)

/** Many at once, which differ in their ids and arguments alone. */
const INSERT_ALL = dense(`INSERT INTO colmena_jobs (${COLUMNS})
  SELECT ${rowOf('value ->> 0', 'value ->> 1')} FROM json_each(?1) WHERE ?3 IS NULL`)

/** The insert of many jobs, and their ids. @throws ColmenaError as {@link toInsert} */
export async function toInsertAll<Args>(
  key: Job<Args, never>,
  all: readonly Args[],
  options: EnqueueOptions,
): Promise<{ readonly ids: readonly string[]; readonly statement: InputStatement }> {
  const { schema, defaults } = optionsOf(key as Job<never, never>)
  const config = toEnqueueConfig(mergeOptions(defaults, options))
  if (config.uniqueKey !== null) throw invalid('enqueueAll makes many jobs: no key is of them all')
  const rows: [id: string, json: string][] = []
  for (const [at, args] of all.entries()) {
    await validate(key.type, schema, args)
    rows.push([randomUUID(), argsToJson(args, `the arguments of '${key.type}'[${at}]`)])
  }
  const args = insertArgs(JSON.stringify(rows), key.type, null, config)
  return { ids: rows.map(([id]) => id), statement: { sql: INSERT_ALL, args } }
}

export function insertArgs(
  id: string,
  type: string,
  json: string | null,
  config: EnqueueConfig,
): InputValue[] {
  const { priority, runAt, delayMs, maxAttempts, timeoutMs, backoff } = config
  const { uniqueKey, concurrencyKey, after, afterFailure, tags } = config
  return [
    ...[id, type, json, priority, runAt, delayMs],
    ...[maxAttempts, timeoutMs, JSON.stringify(backoff)],
    ...[uniqueKey, concurrencyKey, after === null ? null : JSON.stringify(after)],
    ...[afterFailure, JSON.stringify(tags)],
  ]
}
