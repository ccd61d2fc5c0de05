import type { ColmenaError } from '../base/errors.ts'
import type { Transport, TransportHandlers, TransportOptions } from './port.ts'
import { createSecurity } from './security.ts'
import { TcpTransport } from './tcp.ts'

/*
 * The network room: one TCP port for everything between nodes. It promises that frames arrive
 * whole, in order per lane, from a member that passed the handshake, or not at all; that every
 * length and queue is bounded; that control frames never wait behind bulk ones; that links come
 * back by themselves. It may drop frames, also silently when a link breaks: the consensus core
 * copes. It leaves to its owner what frames mean, whom to trust beyond secret or certificate, and
 * when to try a snapshot again.
 */
export { type Address, formatAddress, parseAddress } from './address.ts'
export { PEM_CERTIFICATE } from './certificate-watch.ts'
export { readError, writeError } from './error-wire.ts'
export { decodeMessage, encodeMessage, isWireMessage } from './message.ts'
export { namesOf as certificateNames } from './peer-certificate.ts'
export type * from './port.ts'
export { readReply } from './reply.ts'
export { Traffic, type TrafficValue } from './traffic.ts'

/**
 * Listens, and gives the transport to `done`: or an error, with nothing left open.
 * `ERR_ADDRESS_IN_USE` names the address; `ERR_WEAK_SECRET` and `ERR_INVALID_OPTION` come before
 * any IO. `done` is never called within this call.
 */
export function openTransport(
  options: TransportOptions,
  handlers: TransportHandlers,
  done: (error: ColmenaError | null, transport: Transport | null) => void,
): void {
  createSecurity(options.security, (wrong, security) => {
    if (security === null) {
      done(wrong, null)
      return
    }
    let transport: TcpTransport
    try {
      transport = new TcpTransport(options, security, handlers)
    } catch (error) {
      done(error as ColmenaError, null)
      return
    }
    transport.listen(options.bind.host, options.bind.port, (error) => {
      done(error, error === null ? transport : null)
    })
  })
}
