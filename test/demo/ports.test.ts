/** Ports of the demo's nodes: two demos on one machine must never come upon the same ones. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { it, type TestContext } from 'node:test'
import { neighbourOf, openPair } from '../../src/demo/ports.ts'

/**
 * Has the given fractions drawn, the last one again and again. Beyond 1 they are ports that no demo
 * draws, and systems do not hand out.
 */
function draw(t: TestContext, ...fractions: readonly number[]): void {
  const left = [...fractions]
  t.mock.method(Math, 'random', () => (left.length > 1 ? left.shift() : left[0]))
}

async function listen(t: TestContext, port: number): Promise<Server> {
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return server
}

it('nobody else gets the neighbour of an open port, though it is free', async (t) => {
  draw(t, 1.01, 1.01, 1.02)
  const open = (port: number): Promise<Server> => listen(t, port)
  const first = await openPair(open)
  const second = await openPair(open)
  const ports = [first.port, second.port].flatMap((port) => [port, neighbourOf(port)])
  assert.equal(new Set(ports).size, 4)
})

it('a port with a neighbour that is in use is passed over, and let go', async (t) => {
  draw(t, 1.03, 1.04)
  const opened: number[] = []
  const pair = await openPair(async (port) => {
    opened.push(port)
    if (opened.length === 1) await listen(t, neighbourOf(port))
    return await listen(t, port)
  })
  const [passedOver, taken] = opened as [number, number]
  assert.equal(pair.port, taken)
  await listen(t, passedOver)
})

it('says what to do where no pair is free, and passes on what else goes wrong', async (t) => {
  draw(t, 1.05)
  const open = (port: number): Promise<Server> => listen(t, port)
  await openPair(open)
  await assert.rejects(openPair(open), {
    code: 'ERR_ADDRESS_IN_USE',
    message: /no two neighbouring ports of 127\.0\.0\.1 were free .*: end what listens there/,
  })
  const other = new Error('no memory')
  await assert.rejects(
    openPair(() => Promise.reject(other)),
    other,
  )
})
