import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { execFile } from 'node:child_process'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import {
  type Attributes,
  type Context,
  type ContextManager,
  context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type SpanOptions,
  SpanStatusCode,
  type TimeInput,
  trace,
} from '@opentelemetry/api'
import type { ColmenaNode } from '../../src/index.ts'
import { shareNode } from './shared-node.ts'
import { temporaryDirectory } from './temporary.ts'

/** What was recorded of one span. */
interface Recorded {
  readonly name: string
  readonly parent: string | undefined
  readonly kind: SpanKind | undefined
  readonly startMs: number
  readonly attributes: Attributes
  endMs: number | null
  status: { code: SpanStatusCode; message?: string } | undefined
}

const recorded: Recorded[] = []
/** Whether a sampler wants the spans that are begun. */
let isSampled = true

/** The smallest tracer that records: what the tests look at, on the real API. */
class MemoryTracer {
  startSpan(name: string, options: SpanOptions = {}, parent: Context = context.active()): Span {
    const { kind, startTime, attributes } = options
    const one: Recorded = {
      name,
      parent: trace.getSpanContext(parent)?.spanId,
      kind,
      startMs: toMs(startTime),
      attributes: { ...attributes },
      endMs: null,
      status: undefined,
    }
    const spanId = String(recorded.push(one)).padStart(16, '0')
    const span = trace.wrapSpanContext({ traceId: '1'.padStart(32, '0'), spanId, traceFlags: 1 })
    return Object.assign(Object.create(span) as Span, {
      isRecording: () => isSampled,
      setAttribute: (key: string, value: string) => {
        one.attributes[key] = value
        return span
      },
      setStatus: (status: Recorded['status']) => {
        one.status = status
        return span
      },
      end: (at?: TimeInput) => {
        assert.equal(one.endMs, null, 'a span ends once')
        one.endMs = toMs(at)
      },
    })
  }

  startActiveSpan(): never {
    throw new Error('not used')
  }
}

function toMs(time: TimeInput | undefined): number {
  assert.ok(typeof time === 'number', 'moments are milliseconds since 1970')
  return time
}

const storage = new AsyncLocalStorage<Context>()
const manager: ContextManager = {
  active: () => storage.getStore() ?? ROOT_CONTEXT,
  with: (active, work, self, ...args) =>
    storage.run(active, () => work.call(self as never, ...args)),
  bind: (_active, target) => target,
  enable: () => manager,
  disable: () => manager,
}

async function openHere(): Promise<ColmenaNode> {
  const { node } = await shareNode()
  await node.database().execute('CREATE TABLE t (id INTEGER PRIMARY KEY)')
  recorded.length = 0
  return node
}

suite('traces', () => {
  before(() => {
    trace.setGlobalTracerProvider({ getTracer: () => new MemoryTracer() })
    context.setGlobalContextManager(manager)
  })

  after(() => {
    trace.disable()
    context.disable()
  })

  test('of a write have its commit and its apply inside', async () => {
    const node = await openHere()
    const fromMs = Date.now()
    const { index, timing } = await node.database().execute('INSERT INTO t VALUES (1)')
    const [execute, commit, apply, ...others] = recorded
    assert.deepEqual(others, [])
    assert.equal(execute?.name, 'colmena execute')
    assert.equal(execute.kind, SpanKind.CLIENT)
    assert.equal(execute.parent, undefined)
    assert.deepEqual(execute.attributes, {
      'db.system.name': 'sqlite',
      'db.namespace': 'main',
      'colmena.index': index,
    })
    assert.ok(execute.startMs >= fromMs)
    assert.deepEqual([commit?.name, apply?.name], ['colmena commit', 'colmena apply'])
    const own = '1'.padStart(16, '0')
    assert.deepEqual([commit?.parent, apply?.parent], [own, own])
    assert.equal(commit?.startMs, execute.startMs)
    assert.equal(commit.endMs, execute.startMs + (timing?.committedMs ?? Number.NaN))
    assert.equal(apply?.startMs, commit.endMs)
    assert.equal(apply.endMs, execute.startMs + (timing?.appliedMs ?? Number.NaN))
    assert.ok((execute.endMs as number) >= (apply.endMs as number))
  })

  test('of a batch are one span, inside the span that is active', async () => {
    const node = await openHere()
    const outer = new MemoryTracer().startSpan('outer', { startTime: 0 })
    await context.with(trace.setSpan(context.active(), outer), () =>
      node.database().batch(['INSERT INTO t VALUES (1)', 'INSERT INTO t VALUES (2)'], 'write'),
    )
    assert.deepEqual(
      recorded.map(({ name, parent }) => [name, Number(parent ?? 0)]),
      [
        ['outer', 0],
        ['colmena execute', 1],
        ['colmena commit', 2],
        ['colmena apply', 2],
      ],
    )
  })

  test('of a read say at which level it was answered, and what it contains', async () => {
    const node = await openHere()
    const { index } = await node.database().execute('SELECT 1', [], { consistency: 'strong' })
    const [span, ...others] = recorded
    assert.deepEqual(others, [])
    assert.equal(span?.attributes['colmena.consistency'], 'strong')
    assert.equal(span.attributes['colmena.index'], index)
    assert.equal(span.status, undefined)
  })

  test('that nobody records have no children', async (t) => {
    const node = await openHere()
    isSampled = false
    t.after(() => {
      isSampled = true
    })
    const { rowsAffected } = await node.database().execute('INSERT INTO t VALUES (1)')
    assert.equal(rowsAffected, 1)
    assert.deepEqual(
      recorded.map(({ name }) => name),
      ['colmena execute'],
    )
  })

  test('of a call that fails say how, and what became of the write', async () => {
    const node = await openHere()
    const failing = node.database().execute('INSERT INTO missing VALUES (1)')
    const error = await failing.then(
      () => assert.fail('there is no such table'),
      (reason: Error & { readonly index: number }) => reason,
    )
    const [span, ...others] = recorded
    assert.deepEqual(others, [])
    assert.deepEqual(span?.status, { code: SpanStatusCode.ERROR, message: error.message })
    assert.equal(span.attributes['error.type'], 'ERR_SQL')
    assert.equal(span.attributes['colmena.outcome'], 'not-applied')
    assert.equal(span.attributes['colmena.index'], error.index)
    assert.notEqual(span.endMs, null)
  })
})

test('the API is loaded once somebody registered, and may be missing even then', async (t) => {
  const hide = `
    import { registerHooks } from 'node:module'
    registerHooks({
      resolve(specifier, context, next) {
        if (specifier !== '@opentelemetry/api') return next(specifier, context)
        console.log('looked for')
        throw Object.assign(new Error('hidden'), { code: 'MODULE_NOT_FOUND' })
      },
    })`
  const index = fileURLToPath(new URL('../../src/index.ts', import.meta.url))
  const script = `
    import { open } from ${JSON.stringify(index)}
    const node = await open({ dataDir: ${JSON.stringify(temporaryDirectory(t))} })
    const db = node.database()
    await db.execute('CREATE TABLE t (v)')
    console.log('as the API does it')
    globalThis[Symbol.for('opentelemetry.js.api.1')] = {}
    console.log((await db.execute('SELECT count(*) AS n FROM t')).rows[0].n)
    console.log((await db.execute('SELECT count(*) AS n FROM t')).rows[0].n)
    await node.close()`
  const asUrl = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`
  const args = ['--import', asUrl(hide), '--input-type=module', '--eval', script]
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 })
  assert.equal(stdout, 'as the API does it\nlooked for\n0\n0\n')
})
