/** `/events`: what clients hear, and what they can't do to the node. */
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { describe, it } from 'node:test'
import type { ColmenaNode } from '../../src/index.ts'
import { shareNode } from '../node/shared-node.ts'
import { ask, assertFailure, dial, openNode, readAll, serve, waitFor } from './rig.ts'

const REQUEST = 'GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n'

/** Follows the events and keeps all that comes. */
async function follow(
  t: Parameters<typeof dial>[0],
  port: number,
): Promise<{ readonly socket: Socket; heard(): string }> {
  const socket = await dial(t, port)
  let text = ''
  socket.on('data', (bytes) => {
    text += bytes
  })
  socket.write(REQUEST)
  return { socket, heard: () => text }
}

function listeners(node: ColmenaNode): number {
  return node.listenerCount('leader') + node.listenerCount('warning')
}

describe('a client of /events', () => {
  it('hears the status at once and what happens as it happens', async (t) => {
    const node = await openNode(t, { nodeId: 'one' })
    const { port } = await serve(t, node)
    const { heard } = await follow(t, port)
    await waitFor('the status', () => heard().includes('event: status\n'))
    assert.match(heard(), /^HTTP\/1\.1 200 OK\r\n/)
    assert.match(heard(), /\r\ncontent-type: text\/event-stream\r\n/)
    const data = /event: status\ndata: (.*)\n\n/.exec(heard())?.[1] ?? ''
    const { status, members } = JSON.parse(data)
    assert.deepEqual([status.nodeId, members[0].nodeId], ['one', 'one'])
    node.emit('leader', { id: 'two', term: 7 })
    await waitFor('the event', () =>
      heard().includes('event: leader\ndata: {"id":"two","term":7}\n\n'),
    )
  })

  it('hears something even if nothing happens', async (t) => {
    const { port } = await serve(t, (await shareNode()).node, { eventHeartbeatMs: 5 })
    const { heard } = await follow(t, port)
    await waitFor('heartbeats', () => heard().split('\n:\n').length > 3)
  })

  it('leaves nothing behind when it goes, and costs nothing before it comes', async (t) => {
    const node = (await shareNode()).node
    const before = listeners(node)
    const { port, url } = await serve(t, node)
    assert.equal(listeners(node), before)
    const clients = await Promise.all([follow(t, port), follow(t, port)])
    await waitFor('both', () => clients.every(({ heard }) => heard().includes('event: status')))
    assert.equal(listeners(node), before + 2)
    for (const { socket } of clients) socket.destroy()
    await waitFor('the end of both', () => listeners(node) === before)
    // A request for the head alone follows nothing.
    assert.equal((await ask(url, '/events', { method: 'HEAD' })).status, 200)
    await waitFor('the end of that', () => listeners(node) === before)
  })

  it('beyond the bound is told to come back', async (t) => {
    const { port, url } = await serve(t, (await shareNode()).node, { eventClientsMax: 1 })
    const { socket, heard } = await follow(t, port)
    await waitFor('the first', () => heard().includes('event: status'))
    const answer = await ask(url, '/events')
    assertFailure(answer, 503, 'ERR_BUSY')
    assert.equal(answer.headers.get('retry-after'), '1')
    socket.destroy()
    await waitFor('its place', async () => {
      const response = await fetch(`${url}/events`)
      await response.body?.cancel()
      return response.status === 200
    })
  })

  it('that does not read is cut off, and the others are not', async (t) => {
    const node = (await shareNode()).node
    const { port, url } = await serve(t, node, { eventQueueBytesMax: 65_536, eventClientsMax: 2 })
    const reading = await follow(t, port)
    const slow = await follow(t, port)
    await waitFor('both', () => slow.heard() !== '' && reading.heard() !== '')
    const printed = t.mock.method(console, 'error', () => {})
    slow.socket.pause()
    const message = 'x'.repeat(16_384)
    // Its place is free once it is cut off; until then its own and the kernel's queues fill.
    await waitFor('the place of the slow one', async () => {
      for (let i = 0; i < 3; i += 1) node.emit('warning', { code: 'ERR_SNAPSHOT', message })
      const response = await fetch(`${url}/events`)
      await response.body?.cancel()
      return response.status === 200
    })
    assert.equal(printed.mock.callCount(), 0)
    assert.equal(reading.socket.closed, false)
    const heardBytes = reading.heard().length
    node.emit('warning', { code: 'ERR_SNAPSHOT', message })
    await waitFor('the next event', () => reading.heard().length > heardBytes)
    const rest = readAll(slow.socket)
    slow.socket.resume()
    assert.doesNotMatch(await rest, /\r\n0\r\n\r\n$/)
  })

  it('is told of the end of the node, and then the stream ends', async (t) => {
    const node = await openNode(t)
    const { port } = await serve(t, node)
    const { socket, heard } = await follow(t, port)
    await waitFor('the status', () => heard().includes('event: status'))
    await node.close()
    await waitFor('the end', () => heard().endsWith('\r\n0\r\n\r\n'))
    assert.match(heard(), /event: closed\ndata: \{"reason":"requested"\}\n\n/)
    socket.destroy()
  })
})
