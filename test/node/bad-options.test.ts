/** Options that are none: each call refuses them with an error of ours, before it does anything. */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import {
  type ColmenaNode,
  handler,
  isColmenaError,
  open,
  withConsistency,
} from '../../src/index.ts'
import { temporaryDirectory } from './temporary.ts'

/** Of every kind, some of which have no text. */
const NO_OPTIONS: readonly unknown[] = [null, -1, 'text', 1n, Symbol('s'), true, [1n], () => {}]
const CIRCLE: Record<string, unknown> = {}
CIRCLE['self'] = CIRCLE
const NO_VALUES: readonly unknown[] = [
  ...NO_OPTIONS.filter((value) => value !== true),
  CIRCLE,
  Object.create(null),
  {
    toString: () => assert.fail('no code of a value runs'),
    toJSON: () => assert.fail('no code of a value runs'),
  },
]

type Call = (options: never) => unknown

async function openHere(t: TestContext): Promise<ColmenaNode> {
  const node = await open({ dataDir: temporaryDirectory(t) })
  t.after(() => node.close())
  await node.database().execute('CREATE TABLE t (id INTEGER PRIMARY KEY)')
  return node
}

async function refuses(name: string, value: unknown, call: () => unknown): Promise<void> {
  try {
    const answer: unknown = await call()
    assert.fail(`${name} took ${typeof value}, and answered ${typeof answer}`)
  } catch (error) {
    const told = `${name} of ${typeof value}: ${error}`
    assert.ok(isColmenaError(error), told)
    assert.match(error.code, /^ERR_INVALID_(ARGUMENT|OPTION)$/, told)
    assert.deepEqual([error.retryable, error.outcome], [false, 'not-applied'], told)
  }
}

const charge = handler<number, number>('charge')

/** What takes options last, and which. */
function callsOf(node: ColmenaNode): Record<string, readonly [Call, ...string[]]> {
  const db = node.database()
  const work = async (): Promise<void> => {}
  return {
    status: [(options) => node.status(options), 'signal'],
    metrics: [(options) => node.metrics(options), 'signal'],
    members: [(options) => node.members(options), 'signal'],
    databases: [(options) => node.databases(options), 'signal'],
    dropDatabase: [(options) => node.dropDatabase('main', options), 'signal'],
    rotate: [(options) => node.rotate({ secret: 'x'.repeat(16) }, options), 'signal'],
    promote: [(options) => node.promote('x', options), 'signal'],
    demote: [(options) => node.demote('x', options), 'signal'],
    removeMember: [(options) => node.removeMember('x', options), 'signal'],
    transferLeadership: [(options) => node.transferLeadership(undefined, options), 'signal'],
    reinstall: [(options) => node.reinstall(options), 'signal'],
    close: [(options) => node.close(options), 'signal'],
    waitForLeader: [(options) => node.waitForLeader(options), 'signal', 'timeoutMs'],
    verify: [(options) => node.verify(options), 'signal', 'timeoutMs'],
    forward: [(options) => node.forward(charge, 1, options), 'signal', 'timeoutMs'],
    migrate: [(options) => node.migrate([], options), 'signal', 'timeoutMs', 'database'],
    changes: [(options) => db.changes(options).return(), 'signal', 'from', 'tables'],
    watch: [(options) => db.watch('SELECT 1', [], options).return(), 'signal', 'consistency'],
    execute: [(options) => db.execute('SELECT 1', [], options), 'after', 'maxStalenessMs', 'fence'],
    batch: [(options) => db.batch(['SELECT 1'], { ...(options as object) }), 'mode', 'consistency'],
    transaction: [(options) => db.transaction(work, { ...(options as object) }), 'mode', 'after'],
    database: [(options) => node.database('main', options), 'consistency', 'changes', 'intMode'],
    handler: [(options) => handler('x', options), 'version'],
    lock: [(options) => lockOf(node, options), 'ttlMs', 'waitMs', 'signal'],
    once: [(options) => onceOf(node, options), 'ttlMs', 'errorTtlMs', 'leaseMs', 'signal'],
  }
}

function lockOf(node: ColmenaNode, options: unknown): unknown {
  return node.lock('x', isObject(options) ? { ttlMs: 1000, ...options } : (options as never))
}

function onceOf(node: ColmenaNode, options: unknown): unknown {
  const complete = isObject(options) ? { ttlMs: 1000, ...options } : options
  // A function there is the listener of an event.
  if (typeof options === 'function') return node.lock('x', options as never)
  return node.once('x', complete as never, () => 1)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

suite('options', () => {
  test('that are no object are refused by every call, and change nothing', async (t) => {
    const node = await openHere(t)
    const before = (await node.status()).appliedIndex
    for (const [name, [call]] of Object.entries(callsOf(node))) {
      // Spread, where they are among options of their own.
      if (name === 'batch' || name === 'transaction') continue
      for (const value of NO_OPTIONS) await refuses(name, value, () => call(value as never))
      await refuses(name, {}, () => call({ singal: 1 } as never))
    }
    const { appliedIndex, databases } = await node.status()
    assert.equal(appliedIndex, before)
    assert.deepEqual(
      databases.map(({ name }) => name),
      ['main'],
    )
  })

  test('of values that they can not have are refused, without a look into these', async (t) => {
    const node = await openHere(t)
    const before = (await node.status()).appliedIndex
    for (const [name, [call, ...options]] of Object.entries(callsOf(node))) {
      for (const option of options) {
        for (const value of NO_VALUES) {
          if (isWaitByDefault(option, value) || isToken(option, value)) continue
          await refuses(`${name} { ${option} }`, value, () => call({ [option]: value } as never))
        }
      }
    }
    assert.equal((await node.status()).appliedIndex, before)
  })
})

/** Names of databases and tables are text. */
function isWaitByDefault(option: string, value: unknown): boolean {
  return (option === 'waitMs' && value === null) || (option === 'database' && value === 'text')
}

function isToken(option: string, value: unknown): boolean {
  return option === 'version' && value === null
}

test('what is to run is a function, and a member has a name', async (t) => {
  const node = await openHere(t)
  const db = node.database()
  for (const value of [null, 1n, 'text', Symbol('s'), CIRCLE] as never[]) {
    const calls = {
      withConsistency: () => withConsistency('none', value),
      handle: () => node.handle(handler('x'), value),
      once: () => node.once('x', { ttlMs: 1000 }, value),
      savepoint: () => db.transaction((tx) => tx.transaction(value)),
      forward: () => node.forward(value, 1),
    }
    for (const [name, call] of Object.entries(calls)) await refuses(name, value, call)
    if (value === 'text') continue
    await refuses('promote', value, () => node.promote(value))
    await refuses('transferLeadership', value, () => node.transferLeadership(value))
    await refuses('a mode', value, () => db.transaction(value === null ? (1n as never) : value))
    await refuses('a mode', value, () => db.batch(['SELECT 1'], (value ?? 1n) as never))
  }
})
