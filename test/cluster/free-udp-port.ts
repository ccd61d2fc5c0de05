import { createSocket } from 'node:dgram'
import { once } from 'node:events'

/** Of a test alone, so that nobody else on the machine hears it or is heard. */
export async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4')
  socket.bind(0)
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  return port
}
