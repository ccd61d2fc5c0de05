import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import {
  certificateNames,
  PEM_CERTIFICATE,
  type TransportSecurity,
} from '../transport/transport.ts'
import { checkKeys } from './nearest.ts'
import { invalid, show } from './option-checks.ts'

type CertificateSecurity = Extract<TransportSecurity, { kind: 'tls' }>

/** The beginning of one that has no end. */
const PEM_REST = /-----BEGIN CERTIFICATE-----|-----B[A-Z ]*-*$/
const CHAIN_LENGTH_MAX = 16
/** What a certificate must be good for if it says for what it is: a node is on either side. */
const USES = [
  ['1.3.6.1.5.5.7.3.1', 'serverAuth'],
  ['1.3.6.1.5.5.7.3.2', 'clientAuth'],
] as const

/** @throws ColmenaError ERR_INVALID_OPTION, naming the field, what is wrong, and a remedy */
export function checkTls(tls: unknown): CertificateSecurity {
  const options = tls as Record<string, unknown>
  checkKeys(options, ['ca', 'cert', 'key', 'passphrase'], invalid, ' of tls')
  const authorities = toList(options['ca']).flatMap((one) => readCertificates('tls.ca', one))
  const chain = readCertificates('tls.cert', options['cert'])
  const [own] = chain as [X509Certificate]
  const key = readKey(options['key'], options['passphrase'])
  if (!own.checkPrivateKey(key)) {
    throw invalid(`tls.key is not the key of tls.cert, the certificate of ${nameOf(own)}`)
  }
  for (const certificate of chain) checkDates(certificate)
  checkUses(own)
  checkChain(chain, authorities)
  const security: CertificateSecurity = {
    kind: 'tls',
    ca: authorities.join(''),
    cert: chain.join(''),
    key: key.export({ type: 'pkcs8', format: 'pem' }) as string,
  }
  try {
    createSecureContext({ ...security, minVersion: 'TLSv1.3' })
  } catch (cause) {
    throw invalid(`tls can't be used, OpenSSL says: ${(cause as Error).message}`)
  }
  return security
}

/** Whether a node of that id may show its certificate. @throws ColmenaError ERR_INVALID_OPTION */
export function checkNodeName(security: TransportSecurity, nodeId: string, isMadeUp = false): void {
  if (security.kind !== 'tls') return
  const own = new X509Certificate(security.cert)
  if (certificateNames(own).includes(`DNS:${nodeId}`)) return
  const remedy = isMadeUp
    ? 'pass the name that it is for as nodeId: without one a name is made up'
    : `have one issued for this node, such as by: colmena ca issue ${nodeId}`
  throw invalid(
    `tls.cert is for ${own.subjectAltName ?? 'nobody by name'}, and this node is '${nodeId}': ` +
      'its DNS names must have the node id among them, letter by letter. Either ' +
      remedy,
  )
}

function toList(value: unknown): readonly unknown[] {
  return Array.isArray(value) && value.length > 0 ? value : [value]
}

function toPem(field: string, value: unknown): string {
  const text = value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value
  if (typeof text === 'string' && text.includes('-----BEGIN ')) return text
  // A key is never shown; and what is no PEM may be one, in another form.
  const what = text === undefined ? 'missing' : 'no PEM'
  throw invalid(
    `${field} is ${what}; pass what the file holds, not its name: ` +
      `readFileSync('./${field.slice('tls.'.length)}.pem')`,
  )
}

function readCertificates(field: string, value: unknown): readonly X509Certificate[] {
  const pem = toPem(field, value)
  const blocks = pem.match(PEM_CERTIFICATE) ?? []
  // A file that is read while it is written: of two CAs it would have one, and shut nodes out.
  if (PEM_REST.test(pem.replaceAll(PEM_CERTIFICATE, '').trimEnd())) {
    throw invalid(`${field} breaks off amid a certificate: read it again once it is whole`)
  }
  if (blocks.length === 0) throw invalid(`${field} holds no certificate, but other things in PEM`)
  return blocks.map((block, at) => {
    try {
      return new X509Certificate(block)
    } catch (cause) {
      const which = blocks.length === 1 ? 'the certificate' : `certificate ${at + 1}`
      throw invalid(`${field}: ${which} can't be read: ${(cause as Error).message}`)
    }
  })
}

function readKey(value: unknown, passphrase: unknown): KeyObject {
  const key = toPem('tls.key', value)
  if (passphrase !== undefined && typeof passphrase !== 'string') {
    throw invalid('tls.passphrase must be a string')
  }
  try {
    return createPrivateKey(passphrase === undefined ? key : { key, passphrase })
  } catch (cause) {
    const { code = '' } = cause as NodeJS.ErrnoException
    // What OpenSSL says that would have asked for a passphrase.
    if (/INTERRUPTED_OR_CANCELLED|MISSING_PASSPHRASE/.test(code)) {
      throw invalid('tls.key is encrypted: pass its tls.passphrase as well')
    }
    throw invalid(
      code.includes('DECRYPT')
        ? "tls.key can't be read with this tls.passphrase"
        : 'tls.key holds no private key that can be read',
    )
  }
}

function checkDates(certificate: X509Certificate): void {
  const { validFromDate, validToDate } = certificate
  const now = Date.now()
  if (validToDate.getTime() <= now) {
    throw invalid(
      `tls.cert has expired: the certificate of ${nameOf(certificate)} was good until ` +
        `${validToDate.toISOString()}. Have a new one issued`,
    )
  }
  if (validFromDate.getTime() <= now) return
  throw invalid(
    `tls.cert is not valid yet: the certificate of ${nameOf(certificate)} is from ` +
      `${validFromDate.toISOString()} on. Look at this machine's clock`,
  )
}

function checkUses(own: X509Certificate): void {
  const uses: readonly string[] | undefined = own.keyUsage
  if (uses === undefined || uses.length === 0) return
  const missing = USES.find(([use]) => !uses.includes(use))
  if (missing === undefined) return
  throw invalid(
    `tls.cert may not be used for ${missing[1]}: a node calls others and is called, so its ` +
      'certificate must be good for both serverAuth and clientAuth',
  )
}

/** As its peers will go: from the node's certificate by who signed it, to one that is trusted. */
function checkChain(
  chain: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
): void {
  const [own] = chain as [X509Certificate]
  let current = own
  for (let length = 0; length < CHAIN_LENGTH_MAX; length += 1) {
    const authority = authorities.find((one) => one.raw.equals(current.raw) || signed(one, current))
    if (authority !== undefined) {
      checkAuthority(authority)
      return
    }
    const next = chain.find((one) => one !== current && signed(one, current))
    if (next === undefined) break
    current = next
  }
  throw invalid(
    `tls.cert does not lead to tls.ca: ${nameOf(current)} was signed by ` +
      `${oneLine(current.issuer)}, and tls.ca holds ${authorities.map(nameOf).join(' and ')}`,
  )
}

function checkAuthority(authority: X509Certificate): void {
  if (authority.validToDate.getTime() > Date.now()) return
  throw invalid(
    `tls.ca has expired: ${nameOf(authority)} was good until ` +
      `${authority.validToDate.toISOString()}. Make a new CA, and new certificates`,
  )
}

function signed(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}

function nameOf(certificate: X509Certificate): string {
  return show(oneLine(certificate.subject))
}

function oneLine(name: string | undefined): string {
  return name?.replaceAll('\n', ', ') ?? 'nobody by name'
}
