import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import { type ColmenaNode, type Database, open } from '../../src/index.ts'
import {
  type HranaContext,
  HranaStreams,
  type PipelineResponse,
  type StreamResult,
} from '../../src/server/hrana/hrana.ts'
import type { HranaLimits } from '../../src/server/hrana/limits.ts'
import { temporaryDirectory } from '../node/temporary.ts'

export interface Fixture {
  readonly node: ColmenaNode
  readonly db: Database
  readonly streams: HranaStreams
  /** Moves the clock of the streams. */
  readonly pass: (durationMs: number) => void
  /** The answer to a pipeline of these requests, as a client reads it. */
  readonly send: (
    requests: readonly unknown[],
    baton?: string | null,
    context?: Partial<HranaContext>,
  ) => Promise<PipelineResponse>
  /** The lines of a cursor over these steps. */
  readonly lines: (steps: readonly unknown[], baton?: string | null) => Promise<unknown[]>
}

/** Streams over a real single node. */
export async function openStreams(
  t: TestContext,
  limits: Partial<HranaLimits> = {},
): Promise<Fixture> {
  const node = await open({ dataDir: temporaryDirectory(t), logSegmentBytes: 1024 * 1024 })
  t.after(() => node.close())
  let nowMs = 0
  const db = node.database()
  const streams = new HranaStreams({ nowMs: () => nowMs, randomBytes, limits })
  const asked = { database: db, mayWrite: true, version: 3 } as const
  return {
    node,
    db,
    streams,
    pass: (durationMs) => {
      nowMs += durationMs
    },
    send: async (requests, baton = null, context = {}) => {
      const body = overTheWire({ baton, requests })
      const answer = await streams.pipeline(body, { ...asked, ...context })
      return overTheWire(answer)
    },
    lines: async (steps, baton = null) => {
      let text = ''
      for await (const chunk of streams.cursor(overTheWire({ baton, batch: { steps } }), asked)) {
        assert.ok(chunk.endsWith('\n'))
        text += chunk
      }
      return text
        .split('\n')
        .slice(0, -1)
        .map((each) => JSON.parse(each) as unknown)
    },
  }
}

/** What is left of it on the other side. */
function overTheWire<Content>(content: Content): Content {
  return JSON.parse(JSON.stringify(content)) as Content
}

export interface ToldResult {
  readonly cols: readonly { readonly name: string; readonly decltype: string | null }[]
  readonly rows: readonly (readonly { readonly type: string; readonly value?: unknown }[])[]
  readonly affected_row_count: number
  readonly last_insert_rowid: string | null
}

export interface ToldError {
  readonly message: string
  readonly code: string
  readonly retryable: boolean
  readonly outcome: string
}

export interface ToldBatch {
  readonly step_results: readonly (ToldResult | null)[]
  readonly step_errors: readonly (ToldError | null)[]
}

export function execute(sql: string, ...args: readonly unknown[]): unknown {
  return { type: 'execute', stmt: { sql, args } }
}

/** A step that runs on a condition, if one is given. */
export function step(sql: string, condition?: unknown, ...args: readonly unknown[]): unknown {
  return { stmt: { sql, args }, condition: condition ?? null }
}

export function batch(...steps: readonly unknown[]): unknown {
  return { type: 'batch', batch: { steps } }
}

export function ok(at: number): unknown {
  return { type: 'ok', step: at }
}

export function not(cond: unknown): unknown {
  return { type: 'not', cond }
}

export function integer(value: bigint | number): unknown {
  return { type: 'integer', value: String(value) }
}

/** What the request at this place of the pipeline answered. */
export function resultOf<T = ToldResult>(answer: PipelineResponse, at: number = 0): T {
  const told = answer.results[at] as StreamResult
  assert.equal(told.type, 'ok', JSON.stringify(told))
  return (told.type === 'ok' ? told.response['result'] : undefined) as T
}

export function errorOf(answer: PipelineResponse, at: number = 0): ToldError {
  const told = answer.results[at] as StreamResult
  assert.equal(told.type, 'error', JSON.stringify(told))
  return (told.type === 'error' ? told.error : undefined) as ToldError
}
