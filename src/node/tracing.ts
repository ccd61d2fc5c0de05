import { createRequire } from 'node:module'
import { isColmenaError } from '../base/errors.ts'
import type { ResultSet } from './result-set.ts'
import { packageVersion } from './version.ts'

interface Span {
  isRecording(): boolean
  setAttribute(name: string, value: string | number): unknown
  setStatus(status: { readonly code: number; readonly message: string }): unknown
  /** Milliseconds since 1970, fractions included; so are all moments here. */
  end(atMs: number): void
}

interface SpanOptions {
  readonly startTime: number
  readonly kind?: number
  readonly attributes?: Readonly<Record<string, string>>
}

/** What is used of `@opentelemetry/api`. Its own types would be needed by all who use ours. */
export interface TracingApi {
  readonly context: { active(): unknown }
  readonly trace: {
    getTracer(
      name: string,
      version: string,
    ): { startSpan(name: string, options: SpanOptions, context?: unknown): Span }
    setSpan(context: unknown, span: Span): unknown
  }
}

type Answer = ResultSet<unknown> | readonly ResultSet<unknown>[]

// Of `SpanKind` and `SpanStatusCode`.
const CLIENT = 2
const ERROR = 2

/** Where version 1 of the API keeps what an application has registered with it. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1')

let found: TracingApi | null | undefined

/**
 * The application's `@opentelemetry/api`, null where it has none, or nobody has registered anything
 * yet: to load it would be a tenth of what the start of a node costs. Looked for once.
 */
export function tracingApi(): TracingApi | null {
  if (found === undefined && REGISTERED in globalThis) found = findApi()
  return found ?? null
}

function findApi(): TracingApi | null {
  try {
    return createRequire(import.meta.url)('@opentelemetry/api') as TracingApi
  } catch {
    return null
  }
}

/**
 * Runs a call in a span of its own, with the commit and the apply of a write as its children.
 * Statements are not in it, for they may hold what nobody else should read. Without the API, or
 * without anybody who records, a call is just run.
 */
export function traced<T extends Answer>(
  api: TracingApi | null,
  database: string,
  work: () => Promise<T>,
): Promise<T> {
  return api === null ? work() : runInSpan(api, database, work)
}

async function runInSpan<T extends Answer>(
  api: TracingApi,
  database: string,
  work: () => Promise<T>,
): Promise<T> {
  const tracer = api.trace.getTracer('colmena', packageVersion())
  const startTime = Date.now()
  const sinceMs = performance.now()
  const attributes = { 'db.system.name': 'sqlite', 'db.namespace': database }
  const span = tracer.startSpan('colmena execute', { startTime, kind: CLIENT, attributes })
  if (!span.isRecording()) return work()
  try {
    const answer = await work()
    const result = Array.isArray(answer) ? answer[0] : answer
    if (result !== undefined) describeResult(span, result)
    const { timing } = result ?? {}
    if (timing !== undefined) {
      const context = api.trace.setSpan(api.context.active(), span)
      const committed = startTime + timing.committedMs
      tracer.startSpan('colmena commit', { startTime }, context).end(committed)
      const apply = tracer.startSpan('colmena apply', { startTime: committed }, context)
      apply.end(startTime + timing.appliedMs)
    }
    return answer
  } catch (error) {
    describeError(span, error)
    throw error
  } finally {
    span.end(startTime + performance.now() - sinceMs)
  }
}

function describeResult(span: Span, { index, consistency }: ResultSet<unknown>): void {
  span.setAttribute('colmena.index', index)
  if (consistency !== undefined) span.setAttribute('colmena.consistency', consistency)
}

function describeError(span: Span, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error)
  span.setStatus({ code: ERROR, message })
  if (!isColmenaError(error)) return
  span.setAttribute('error.type', error.code)
  span.setAttribute('colmena.outcome', error.outcome)
  if (error.index !== undefined) span.setAttribute('colmena.index', error.index)
}
