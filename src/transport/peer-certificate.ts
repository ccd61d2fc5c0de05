import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { Refusal } from './port.ts'

const SUBJECT_CHARACTERS_MAX = 100

/** What OpenSSL calls a certificate that nobody whom this node trusts has signed. */
const UNKNOWN_AUTHORITY =
  /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_SIGNATURE_FAILURE)/

/** What a peer has shown of itself. */
export interface Credential {
  /**
   * Why it is not good enough; null if it is. `nodeId` is what the peer calls itself, null before
   * it has said so. Both sides may read the message: it tells nothing of this node.
   */
  check(nodeId: string | null): Refusal | null
}

/** A peer's certificate; read once, since Node.js gives it to a client a single time. */
export class PeerCertificate implements Credential {
  readonly #certificate: X509Certificate | undefined
  readonly #fault: string | null

  constructor(socket: TLSSocket) {
    this.#certificate = socket.getPeerX509Certificate()
    // Node.js's types say Error; it is the name of what OpenSSL found.
    this.#fault = socket.authorized ? null : String(socket.authorizationError)
  }

  check(nodeId: string | null): Refusal | null {
    const certificate = this.#certificate
    if (certificate === undefined) {
      return refusal(
        'no certificate was shown: each node needs one, signed by the CA of its cluster',
      )
    }
    if (this.#fault !== null) return refusal(describeFault(certificate, this.#fault))
    if (nodeId === null || namesOf(certificate).includes(`DNS:${nodeId}`)) return null
    const names = readable(certificate.subjectAltName ?? 'no name at all')
    return refusal(
      `node '${readable(nodeId)}' has shown a certificate for ${names}: a node needs one that ` +
        'has its own node id as a DNS name, such as `colmena ca issue` makes',
    )
  }
}

function describeFault(certificate: X509Certificate, fault: string): string {
  const whose = `the certificate of ${readable(certificate.subject)}`
  const { validFromDate, validToDate } = certificate
  if (fault === 'CERT_HAS_EXPIRED') {
    return validToDate.getTime() < Date.now()
      ? `${whose} has expired, at ${validToDate.toISOString()}: give that node a new one`
      : `the CA's certificate above ${whose} has expired: make a new CA, and new certificates`
  }
  if (fault === 'CERT_NOT_YET_VALID') {
    return (
      `${whose} is not valid yet, but from ${validFromDate.toISOString()} on: look at the clocks ` +
      'of both machines'
    )
  }
  if (UNKNOWN_AUTHORITY.test(fault)) {
    return (
      `${whose} was signed by ${readable(certificate.issuer)}, which is none of the CAs that the ` +
      'other side trusts: the `ca` of each node must list the CA of every other'
    )
  }
  return `${whose} is not good for this (${fault}): it must serve for both sides of a connection`
}

/**
 * The names of a certificate as Node.js writes them, `DNS:a, IP Address:10.0.0.7`. A comma within a
 * name is written as \u002c, in quotes: so the pieces are the names, and none is a part of another.
 */
export function namesOf(certificate: X509Certificate): readonly string[] {
  return certificate.subjectAltName?.split(', ') ?? []
}

/** A stranger's words, fit for a log: on one line, and short. */
function readable(text: string): string {
  const line = text.replaceAll('\n', ', ').replace(/\p{C}/gu, '?')
  return line.length <= SUBJECT_CHARACTERS_MAX
    ? line
    : `${line.slice(0, SUBJECT_CHARACTERS_MAX)}...`
}

function refusal(message: string): Refusal {
  return { code: 'ERR_HANDSHAKE', message }
}
