import { createSocket, type Socket } from 'node:dgram'

/** As RFC 6762 has it, all headers included. */
const PACKET_BYTES_MAX = 9_000
/** Of one packet, questions among them; a whole network's have fewer. */
const RECORDS_MAX = 256
const HEADER_BYTES = 12

/**
 * A socket that drops what no honest machine sends, before anybody reads it: names that point to
 * names, thousands of times over, in thousands of records would cost whoever reads them seconds.
 */
export function createModestSocket(): Socket {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  const emit = socket.emit.bind(socket) as (name: string | symbol, ...args: unknown[]) => boolean
  socket.emit = (name: string | symbol, ...args: unknown[]): boolean =>
    name === 'message' && !isModest(args[0] as Buffer) ? false : emit(name, ...args)
  return socket
}

function isModest(packet: Buffer): boolean {
  if (packet.length < HEADER_BYTES || packet.length > PACKET_BYTES_MAX) return false
  const counts = [4, 6, 8, 10].map((at) => packet.readUInt16BE(at))
  return counts.reduce((sum, count) => sum + count, 0) <= RECORDS_MAX
}
