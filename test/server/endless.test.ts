/** A statement that would never end, and everyone else. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ask, openNode, pipelineOf, serve, waitFor } from './rig.ts'

describe('a query that never ends', () => {
  it('is ended at its limit, and others are answered meanwhile', async (t) => {
    // Long enough for another process to start on a busy machine.
    const node = await openNode(t, { statementTimeoutMs: 5_000 })
    const server = await serve(t, node)
    const endless =
      'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n'
    let isEnded = false
    const ended = ask(server.url, '/v2/pipeline', { body: pipelineOf(endless) }).then((answer) => {
      isEnded = true
      return answer
    })
    let answeredMeanwhile = 0
    await waitFor('its end', async () => {
      const { body } = await ask(server.url, '/v2/pipeline', { body: pipelineOf('SELECT 1') })
      assert.equal(body.results[0].type, 'ok')
      if (!isEnded) answeredMeanwhile += 1
      return isEnded
    })
    assert.ok(answeredMeanwhile > 0)
    const { results } = (await ended).body
    assert.equal(results[0].type, 'error')
    assert.equal(results[0].error.code, 'ERR_TIMEOUT')
  })

  it('does not outlast its client, nor the server', async (t) => {
    const node = await openNode(t, { statementTimeoutMs: 60_000 })
    const server = await serve(t, node, { closeTimeoutMs: 1 })
    const endless =
      'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n'
    const gone = assert.rejects(ask(server.url, '/v2/pipeline', { body: pipelineOf(endless) }))
    await ask(server.url, '/healthz')
    await server.close()
    await gone
    await node.close()
  })
})
