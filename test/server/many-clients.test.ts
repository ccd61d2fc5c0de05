/** Two thousand clients that follow the events, and a node that hardly notices. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ask, dial, openNode, pipelineOf, serve, waitFor } from './rig.ts'

const CLIENTS = 2_000

describe('two thousand clients of /events', () => {
  it('all hear what happens, while others are served and the node writes', async (t) => {
    const node = await openNode(t)
    const server = await serve(t, node)
    await node.database().execute('CREATE TABLE t (a)')
    let following = 0
    let heard = 0
    const follow = async (): Promise<() => void> => {
      const socket = await dial(t, server.port)
      let isFollowing = false
      socket.on('data', (bytes: Buffer) => {
        if (!isFollowing && bytes.includes(':\n\n')) following += 1
        isFollowing ||= bytes.includes(':\n\n')
        if (bytes.includes('event: leader\n')) heard += 1
      })
      socket.write('GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n')
      return () => socket.destroy()
    }
    const ends: (() => void)[] = []
    while (ends.length < CLIENTS) {
      ends.push(...(await Promise.all(Array.from({ length: 100 }, follow))))
    }
    await waitFor('all of them', () => following === CLIENTS)
    node.emit('leader', { id: 'somebody', term: 2 })
    await waitFor('all to hear it', () => heard === CLIENTS)

    const body = pipelineOf('INSERT INTO t VALUES (1)', 'SELECT count(*) FROM t')
    for (let i = 0; i < 20; i += 1) {
      const answer = await ask(server.url, '/v2/pipeline', { body })
      const [written, read] = answer.body.results
      assert.equal(written.type, 'ok')
      assert.equal(read.response.result.rows[0][0].value, String(i + 1))
    }
    assert.equal((await node.status()).ready, true)
    for (const end of ends) end()
    await waitFor('their end', () => node.listenerCount('warning') === 0)
  })
})
