/** What a node warns of: its logger hears it at once, and listeners once they can. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { suite, test } from 'node:test'
import { begin, openFake } from './fake-node.ts'
import { nextUncaught } from './uncaught.ts'

suite('warnings', () => {
  test('are events and lines', async (t) => {
    const lines: string[] = []
    const { node, engine, storage } = await openFake(t, {
      logger: { warn: (message) => lines.push(message) },
    })
    const stranger = once(node, 'warning')
    engine.say({ kind: 'warning', code: 'ERR_HANDSHAKE', message: 'a stranger' })
    assert.deepEqual(await stranger, [{ code: 'ERR_HANDSHAKE', message: 'a stranger' }])
    const large = once(node, 'warning')
    storage.say({ kind: 'warning', code: 'ERR_LARGE_WAL', message: 'too large' })
    assert.deepEqual(await large, [{ code: 'ERR_LARGE_WAL', message: 'too large' }])
    assert.deepEqual(lines, ['a stranger', 'too large'])
  })

  test('of an open are heard by who listens once it is over', async (t) => {
    const lines: string[] = []
    const logger = { warn: (message: string): void => void lines.push(message) }
    const { threads, opening } = begin(t, { logger })
    const engine = await threads.started('engine')
    const warn = (code: string, message: string): void =>
      engine.say({ kind: 'warning', code, message })
    engine.say({ kind: 'startStorage', generation: 1, genesis: null })
    const storage = await threads.started('storage')
    engine.answers.set('close', () => {
      engine.say({ kind: 'closed', isDurable: true })
      engine.exit()
      storage.exit()
    })
    for (let at = 1; at <= 100; at += 1) warn('ERR_JOIN_FAILED', `try ${at}`)
    warn('ERR_CERTIFICATE', 'it expires')
    await new Promise(setImmediate)
    assert.equal(lines.length, 101, 'a logger hears all of it at once')
    engine.say({ kind: 'established' })
    engine.say({ kind: 'ready', port: 0 })
    await using node = await opening
    const heard: string[] = []
    node.on('warning', ({ message }) => heard.push(message))
    warn('ERR_LARGE_WAL', 'after it')
    while (heard.length < 3) await new Promise(setImmediate)
    assert.deepEqual(heard, ['try 100', 'it expires', 'after it'])
    assert.equal(lines.length, 102)
  })

  test('a listener that throws breaks nothing of the node', async (t) => {
    const { node, engine } = await openFake(t)
    node.on('warning', () => {
      throw new Error('a bug of the host')
    })
    const caught = nextUncaught()
    engine.say({ kind: 'warning', code: 'ERR_HANDSHAKE', message: 'a stranger' })
    assert.match(String(await caught), /a bug of the host/)
    const waiting = node.waitForLeader()
    engine.say({ kind: 'leader', nodeId: 'a', term: 4 })
    assert.equal((await waiting).id, 'a')
  })
})
