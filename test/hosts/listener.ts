/** Tells its parent what arrives at its host, and sends what it is told to; knows of no nodes. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

/** By TCP, waiting for so long, and by multicast as discovery uses it. */
export type ToListener =
  | { readonly kind: 'dial'; readonly host: string; readonly port: number; readonly waitMs: number }
  | { readonly kind: 'call'; readonly text: string }

export type FromListener =
  | { readonly kind: 'ready' }
  | { readonly kind: 'dialled'; readonly host: string; readonly code: string }
  | { readonly kind: 'heard'; readonly text: string; readonly from: string }

const GROUP = '224.0.0.251'
const GROUP_PORT = 5_353

const [address = '', address6 = '', port = '', multicastAddress = ''] = process.argv.slice(2)

const group = createSocket({ type: 'udp4', reuseAddr: true })
group.on('message', (text, { address: from }) => tell({ kind: 'heard', text: `${text}`, from }))
await once(group.bind(GROUP_PORT), 'listening')
group.addMembership(GROUP, multicastAddress)
group.setMulticastInterface(multicastAddress)
for (const host of [address, address6]) {
  const server = createServer((socket) => socket.end())
  await once(server.listen(Number(port), host), 'listening')
}
process.on('message', (message: ToListener) => {
  if (message.kind === 'call') group.send(message.text, GROUP_PORT, GROUP)
  else dial(message)
})
// Whoever started this is gone, and on loopback nobody else would end it.
process.on('disconnect', () => process.exit())
tell({ kind: 'ready' })

function dial({ host, port: to, waitMs }: ToListener & { readonly kind: 'dial' }): void {
  const socket = connect({ host, port: to })
  const answer = (code: string): void => {
    socket.destroy()
    clearTimeout(silence)
    tell({ kind: 'dialled', host, code })
  }
  const silence = setTimeout(answer, waitMs, 'silence')
  socket.once('connect', () => answer('connected'))
  socket.once('error', ({ code }: NodeJS.ErrnoException) => answer(code ?? 'error'))
}

function tell(message: FromListener): void {
  process.send?.(message)
}
