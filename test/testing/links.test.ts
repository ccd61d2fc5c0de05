/** The links between a cluster's nodes: what passes, and what gets lost. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { Links } from '../../src/testing/links.ts'

describe('links', () => {
  const links = new Links()
  const echo = createServer((socket) => socket.on('error', () => {}).pipe(socket))
  let port = 0
  before(async () => {
    await once(echo.listen(0, '127.0.0.1'), 'listening')
    await links.open('node-1')
    port = Number((await links.open('node-2')).split(':')[1])
    await links.direct('node-2', (echo.address() as AddressInfo).port)
  })
  after(async () => {
    await links.close()
    echo.close()
  })

  /** As a node that introduces itself to node-2. */
  function dial(name: string): Socket {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    socket.write(`I am ${name}, good day`)
    return socket
  }

  /** However it ends: `once` would take an error for another end. */
  function ended(socket: Socket): Promise<void> {
    return new Promise((resolve) => socket.once('close', () => resolve()))
  }

  async function passes(name: string): Promise<void> {
    const socket = dial(name)
    const [heard] = await once(socket, 'data')
    assert.match(`${heard}`, new RegExp(`^I am ${name}, `))
    socket.destroy()
  }

  it('are cut by who dials, until they are joined: then what was torn ends', async () => {
    await passes('node-1')
    await links.cut([['node-1', 'node-2']])
    const torn = dial('node-1').resume()
    const end = ended(torn)
    await passes('node-3')
    await passes('node-12')
    await links.cut([])
    await end
    assert.equal(torn.bytesRead, 0)
    await passes('node-1')
  })

  it('of one that dies break, and nothing of it passes that comes after', async () => {
    const broken = dial('node-1')
    await once(broken, 'data')
    const end = ended(broken)
    await links.end('node-1')
    await end
    const late = dial('node-1').resume()
    const lateEnd = ended(late)
    await passes('node-3')
    await links.cut([])
    await lateEnd
    assert.equal(late.bytesRead, 0)
    await passes('node-1')
  })

  it('to one that dies break, and none is made until it is there again', async () => {
    const broken = dial('node-3')
    await once(broken, 'data')
    const end = ended(broken)
    await links.end('node-2')
    await end
    await ended(dial('node-3').resume())
    await links.direct('node-2', (echo.address() as AddressInfo).port)
    await passes('node-3')
  })

  it('say that they failed where their thread is gone', async () => {
    const others = new Links()
    await others.open('node-1')
    await others.close()
    await assert.rejects(others.open('node-2'), { code: 'ERR_FAILED' })
  })
})
