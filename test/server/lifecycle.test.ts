/** How a server ends. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { createServer } from '../../src/server/server.ts'
import { ask, dial, openNode, pipelineOf, readAll, serve } from './rig.ts'

const KEPT = 'GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n'

describe('close', () => {
  it('ends idle connections and streams at once, and leaves the node open', async (t) => {
    const node = await openNode(t)
    const server = await serve(t, node)
    const idle = await dial(t, server.port)
    idle.write(KEPT)
    await once(idle, 'data')
    const following = await dial(t, server.port)
    following.write('GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n')
    await once(following, 'data')
    const ends = [readAll(idle), readAll(following)]
    const closing = server.close()
    assert.equal(server.close(), closing)
    await closing
    const [, stream] = await Promise.all(ends)
    assert.ok(stream?.endsWith('0\r\n\r\n'), stream)
    await node.database().execute('CREATE TABLE t (a)')
    await assert.rejects(ask(server.url, '/healthz'))
  })

  it('lets a request that is under way end, and its connection with it', async (t) => {
    const node = await openNode(t)
    const server = await serve(t, node, { closeTimeoutMs: 60_000 })
    const body = JSON.stringify(pipelineOf('CREATE TABLE t (a)'))
    const head = `POST /v2/pipeline HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}`
    const socket = await dial(t, server.port)
    const answer = readAll(socket)
    socket.write(`${head}\r\nexpect: 100-continue\r\n\r\n`)
    // The server has the head once it asks for the rest.
    await once(socket, 'data')
    const closing = server.close()
    await assert.rejects(ask(server.url, '/healthz'))
    socket.write(body)
    await closing
    assert.match(await answer, /HTTP\/1\.1 200 OK\r\n[\s\S]*connection: close[\s\S]*"type":"ok"/i)
    assert.deepEqual(await node.databases(), ['main'])
  })

  it('cuts off what does not end in time, or when its signal says so', async (t) => {
    const node = await openNode(t)
    const late = await serve(t, node, { closeTimeoutMs: 1 })
    const told = await serve(t, node, { closeTimeoutMs: 60_000 })
    const waiting = 'POST /v2/pipeline HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n'
    const ends = []
    for (const { port } of [late, told]) {
      const socket = await dial(t, port)
      ends.push(readAll(socket))
      socket.write(waiting)
      socket.write('{')
    }
    await late.close()
    const gone = new AbortController()
    const closing = told.close({ signal: gone.signal })
    gone.abort()
    await closing
    assert.deepEqual(await Promise.all(ends), ['', ''])
  })

  it('is what leaving its scope does', async (t) => {
    const node = await openNode(t)
    let url = ''
    {
      await using server = await createServer(node, { port: 0 })
      url = server.url
      assert.equal((await ask(url, '/healthz')).status, 200)
    }
    await assert.rejects(ask(url, '/healthz'))
  })
})
