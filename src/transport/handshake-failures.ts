import { ColmenaError } from '../base/errors.ts'
import type { ChannelEnd } from './channel.ts'
import { toErrorCode } from './error-wire.ts'
import { FrameError } from './frame.ts'
import type { Refusal, TransportSecurity } from './port.ts'

/** How a node protects its port: what a failed handshake most often means depends on that. */
type Kind = TransportSecurity['kind']

/** Whether a TLS failure means that the two sides have no secret in common. */
export function isSecretMismatch(error: NodeJS.ErrnoException): boolean {
  return /PSK_IDENTITY|BAD_RECORD_MAC|DECRYPT/.test(error.code ?? '')
}

/** Secrets go over TLS 1.2, certificates over TLS 1.3: each side says so of the other. */
function isOtherVersion(error: NodeJS.ErrnoException): boolean {
  return /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/.test(error.code ?? '')
}

function otherKind(own: Kind): string {
  return own === 'psk'
    ? 'it has certificates (tls), and this node a secret'
    : 'it has a secret, and this node certificates (tls)'
}

/** What a node that dialed in did wrong; null for what happens to anybody. */
export function describeStranger(
  host: string,
  error: NodeJS.ErrnoException,
  own: Kind,
): string | null {
  if (error.code === 'ECONNRESET' || error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return null
  if (isOtherVersion(error)) return `${host} speaks another TLS: perhaps ${otherKind(own)}`
  if (own === 'tls') return `${host} connected without a certificate: what it sent is not our TLS`
  return isSecretMismatch(error)
    ? `${host} connected with another secret than this node's`
    : `${host} connected without the secret: what it sent is not our TLS`
}

/** The other side has said why. */
export function toRefusalError(where: string, refusal: Refusal): ColmenaError {
  const code = toErrorCode(refusal.code)
  // Both end by themselves: the other process dies, or the closing one is started again.
  const retryable = code === 'ERR_ALREADY_OPEN' || code === 'ERR_CLOSED'
  return new ColmenaError(code, `${where} refused: ${refusal.message}`, { retryable })
}

/** This side wants nothing to do with who answers there. */
export function toOwnRefusal(where: string, { code, message }: Refusal): ColmenaError {
  return new ColmenaError(code, `whoever answers at ${where} is not trusted: ${message}`)
}

/** Why dialing failed, before anything was said. */
export function toDialError(where: string, cause: NodeJS.ErrnoException, own: Kind): ColmenaError {
  if (cause instanceof ColmenaError) return cause
  if (isSecretMismatch(cause)) {
    return new ColmenaError('ERR_HANDSHAKE', `${where} has another secret than this node`, {
      cause,
    })
  }
  if (isOtherVersion(cause)) {
    const message = `${where} speaks another TLS: ${otherKind(own)}`
    return new ColmenaError('ERR_HANDSHAKE', message, { cause })
  }
  // Node.js reports a TLS server that hangs up early with this code and a message of its own.
  const isEarlyEnd = cause.code === 'ECONNRESET' && cause.message.includes('before secure TLS')
  if (isEarlyEnd || cause.code?.startsWith('ERR_SSL') === true) {
    const missing = own === 'tls' ? 'certificates' : 'a secret'
    const message = `${where} ended the TLS handshake; perhaps it runs without ${missing}`
    return new ColmenaError('ERR_HANDSHAKE', message, { cause, retryable: true })
  }
  const message = `cannot reach ${where}: ${cause.message}`
  return new ColmenaError('ERR_FAILED', message, { cause, retryable: true })
}

/** Why it ended after that, without an answer. */
export function toEndError(where: string, end: ChannelEnd, fault: Error | null): ColmenaError {
  if (fault !== null) {
    const message = `${where}: ${fault.message}`
    const retryable = !(fault instanceof FrameError)
    return new ColmenaError('ERR_HANDSHAKE', message, { cause: fault, retryable })
  }
  const message =
    end === 'peer'
      ? `${where} hung up during the handshake; perhaps it has a secret or certificates, and ` +
        'this node neither'
      : `the connection to ${where} was lost during the handshake`
  return new ColmenaError('ERR_HANDSHAKE', message, { retryable: true })
}
