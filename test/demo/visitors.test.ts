/** Whom the demo answers, and how much waits for those who listen slowly. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Audience } from '../../src/demo/audience.ts'
import { createApp } from '../../src/demo/http.ts'
import type { DemoEvents } from '../../src/demo/protocol.ts'
import type { Supervisor } from '../../src/demo/supervisor.ts'

const HELLO = { state: {}, rows: [], points: [] } as unknown as DemoEvents['hello']

function createFake(host: string) {
  const audience = new Audience()
  const written: unknown[] = []
  const supervisor = {
    hello: () => HELLO,
    write: (...write: unknown[]) => written.push(write),
    cluster: {},
  }
  const app = createApp({
    supervisor: supervisor as unknown as Supervisor,
    audience,
    names: [host],
  })
  const ask = (headers: Record<string, string>, method = 'POST', path = '/api/write') =>
    app.request(path, { method, headers, ...(method === 'POST' ? { body: '{}' } : {}) })
  return { audience, written, ask }
}

describe('a request', () => {
  const cases: readonly (readonly [string, string, string, string | null, number])[] = [
    ['by its address', '127.0.0.1', '127.0.0.1:8080', 'http://127.0.0.1:8080', 204],
    ['by its name', '127.0.0.1', 'localhost:8080', 'http://localhost:8080', 204],
    ['by IPv6', '::1', '[::1]:8080', 'http://[::1]:8080', 204],
    ['without an origin, as a program sends it', '127.0.0.1', 'localhost', null, 204],
    ['by a forwarded port', '127.0.0.1', 'localhost:9000', 'http://localhost:9000', 204],
    ['by the host given', 'bees.example', 'bees.example:80', 'http://bees.example', 204],
    ['by an address of any interface', '0.0.0.0', '10.1.2.3:80', 'http://10.1.2.3', 204],
    ['by a foreign name of any interface', '0.0.0.0', 'evil.example', null, 403],
    ['by a foreign name', '127.0.0.1', 'evil.example:8080', null, 403],
    ['by a name that begins like ours', '127.0.0.1', 'localhost.evil.example', null, 403],
    ['by a name with a path', '127.0.0.1', 'localhost/x', null, 403],
    ['from a foreign page', '127.0.0.1', 'localhost:8080', 'http://evil.example', 403],
    ['from another port', '127.0.0.1', 'localhost:8080', 'http://localhost:3000', 403],
    ['from a page without an origin', '127.0.0.1', 'localhost:8080', 'null', 403],
  ]
  for (const [what, listensOn, host, origin, status] of cases) {
    it(`${what} is answered with ${status}`, async () => {
      const { ask, written } = createFake(listensOn)
      const response = await ask({ host, ...(origin === null ? {} : { origin }) })
      assert.equal(response.status, status)
      assert.equal(written.length, status === 204 ? 1 : 0)
      if (status !== 403) return
      const read = await ask({ host, ...(origin === null ? {} : { origin }) }, 'GET', '/api/events')
      assert.equal(read.status, 403, 'nor may it read')
    })
  }

  it('without a host is refused', async () => {
    assert.equal((await createFake('127.0.0.1').ask({})).status, 403)
  })

  it('gets no file but those of the page and the docs', async () => {
    const { ask } = createFake('127.0.0.1')
    const status = async (path: string): Promise<number> =>
      (await ask({ host: 'localhost' }, 'GET', path)).status
    assert.equal(await status('/README.md'), 200)
    assert.equal(await status('/docs/errors.md'), 200)
    const none = ['/package.json', '/docs/../package.json', '/docs/%2e%2e/package.json']
    for (const path of [...none, '/assets/..%2f..%2fdemo.js', '/docs/none.md', '/src/index.ts']) {
      assert.equal(await status(path), 404, path)
    }
  })
})

describe('the audience', () => {
  it('is bounded', async () => {
    const { audience, ask } = createFake('127.0.0.1')
    const streams = Array.from({ length: 64 }, () => audience.open(HELLO))
    const refused = await ask({ host: 'localhost' }, 'GET', '/api/events')
    assert.equal(refused.status, 503)
    await streams[0]?.cancel()
    const taken = await ask({ host: 'localhost' }, 'GET', '/api/events')
    assert.equal(taken.status, 200)
    assert.equal(taken.headers.get('content-type'), 'text/event-stream')
    audience.close()
  })

  it('lets go of who does not read, and of nobody else', async () => {
    const audience = new Audience()
    const reader = audience.open(HELLO).getReader()
    const sleeper = audience.open(HELLO)
    const row = { kind: 'event', key: 1, at: 0, text: 'x'.repeat(100_000) } as const
    let readBytes = 0
    for (let i = 0; i < 30; i += 1) {
      audience.send('rows', [row])
      const { value } = await reader.read()
      readBytes += value?.length ?? 0
    }
    assert.ok(readBytes > 2_500_000, `${readBytes} bytes were read`)
    audience.close()
    const kept = await new Response(sleeper).text()
    assert.ok(kept.length < 1_300_000, `${kept.length} bytes waited for who slept`)
    assert.match(kept, /^retry: 1000\n\nevent: hello\ndata: \{/)
    while (!(await reader.read()).done);
  })
})
