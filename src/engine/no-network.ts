import { ColmenaError } from '../base/errors.ts'
import { Traffic, type Transport } from '../transport/transport.ts'

/** The network of a single node: nobody to send to, and nobody who asks. */
export function createNoNetwork(): Transport {
  const unreachable = (): ColmenaError =>
    new ColmenaError('ERR_FAILED', "this node has no network: give `open` a 'bind' address")
  return {
    port: 0,
    certificateEndsMs: null,
    setPeer: () => {},
    removePeer: () => {},
    endLinksOf: () => {},
    send: () => false,
    queuedBytes: () => 0,
    call: (_to, _kind, _body, _timeoutMs, done) => queueMicrotask(() => done(unreachable())),
    sendSnapshot: (_to, _manifest, _directory, done) => {
      queueMicrotask(() => done(unreachable()))
      return () => {}
    },
    rotate: (_security, done) => queueMicrotask(() => done(null)),
    peers: () => [],
    traffic: () => new Traffic().value(),
    close: (done) => done(),
  }
}
