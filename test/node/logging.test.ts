import assert from 'node:assert/strict'
import { once } from 'node:events'
import { suite, type TestContext, test } from 'node:test'
import pino from 'pino'
import { type Logger, type OpenOptions, open } from '../../src/index.ts'
import { checkOpenOptions } from '../../src/node/config.ts'
import { openFake } from './fake-node.ts'
import { temporaryDirectory } from './temporary.ts'

type Line = Readonly<Record<string, unknown>>

/** A real pino, and the lines that it wrote. */
function createPino(level: string): { readonly logger: pino.Logger; readonly lines: Line[] } {
  const lines: Line[] = []
  const write = (line: string): void => void lines.push(JSON.parse(line) as Line)
  return { logger: pino({ level }, { write }), lines }
}

/** A node's whole life, as its logger hears of it. */
async function live(t: TestContext, logger: OpenOptions['logger']): Promise<string> {
  const node = await open({ dataDir: temporaryDirectory(t), logger })
  await node.waitForLeader()
  const closed = once(node, 'closed')
  await node.close()
  await closed
  return node.nodeId
}

suite('the logger', () => {
  test('can be a pino as it is, which gets fields and message in their places', async (t) => {
    const { logger, lines } = createPino('info')
    const nodeId = await live(t, logger)
    const led = lines.find((line) => line['msg'] === 'leader changed' && line['id'] === nodeId)
    assert.equal(led?.['level'], pino.levels.values['info'])
    assert.equal(typeof led?.['term'], 'number')
    const end = lines.at(-1)
    assert.deepEqual([end?.['msg'], end?.['reason']], ['this node is closed', 'requested'])
  })

  test('can be a child of pino, whose fields and level are kept', async (t) => {
    const { logger, lines } = createPino('info')
    await live(t, logger.child({ part: 'store' }, { level: 'warn' }))
    assert.deepEqual(lines, [])
    await live(t, logger.child({ part: 'store' }))
    assert.ok(lines.length > 0)
    assert.ok(lines.every((line) => line['part'] === 'store'))
  })

  test('of pino gets why a node failed as an error', async (t) => {
    const { logger, lines } = createPino('error')
    const { node, engine } = await openFake(t, { logger })
    const closed = once(node, 'closed')
    const error = { code: 'ERR_FAILED', message: 'a disk', retryable: false } as const
    engine.say({ kind: 'fatal', error: { ...error, outcome: 'unknown' } })
    await closed
    const [line] = lines
    assert.equal(line?.['msg'], 'this node has failed')
    const err = line?.['err'] as Line | undefined
    assert.deepEqual([err?.['message'], err?.['code']], ['a disk', 'ERR_FAILED'])
  })

  test('of any other make gets the message first', async (t) => {
    const heard: unknown[][] = []
    const logger: Logger = { info: (...words) => heard.push(words) }
    const nodeId = await live(t, logger)
    const led = heard.find(([message, event]) => {
      return message === 'leader changed' && (event as Line)['id'] === nodeId
    })
    assert.ok(led !== undefined)
    for (const other of [console, logger]) {
      assert.equal(checkOpenOptions({ dataDir: '.', logger: other }).logger, other)
    }
  })
})
