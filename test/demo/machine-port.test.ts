/** Where machines of the demo reach each other's agents. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { it } from 'node:test'
import { MachinePort } from '../../src/demo/machine-port.ts'
import { findFreePorts } from '../processes/free-port.ts'

/** Far less than a stranger has to show the key. */
const SOON_MS = 2_000

it('a port of an agent that closes leaves no stranger connected', async (t) => {
  const [port = 0] = await findFreePorts(1)
  const where = { host: '127.0.0.1', port }
  const agent = await MachinePort.open({ ...where, key: randomBytes(32), pageSince: () => null })
  t.after(() => agent.close())
  const stranger = connect(where)
  const end = Promise.withResolvers<string>()
  stranger.on('error', () => {})
  stranger.on('close', () => end.resolve('closed'))
  const late = setTimeout(() => end.resolve('still connected'), SOON_MS)
  await once(stranger, 'connect')
  // The other side has it by the next turn.
  await new Promise((resolve) => setImmediate(resolve))
  agent.close()
  agent.close()
  assert.equal(await end.promise, 'closed')
  clearTimeout(late)
  stranger.destroy()
})
