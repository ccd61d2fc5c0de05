import {
  createPrivateKey,
  type KeyObject,
  X509Certificate as NodeCertificate,
  type webcrypto,
} from 'node:crypto'
import { checkDays, invalid } from './arguments.ts'
import {
  BasicConstraintsExtension,
  createSerialNumber,
  generateKeys,
  KEY_ALGORITHM,
  KeyUsageFlags,
  KeyUsagesExtension,
  SIGNATURE_ALGORITHM,
  SubjectKeyIdentifierExtension,
  toPem,
  validityOf,
  X509Certificate,
  X509CertificateGenerator,
} from './x509.ts'

export interface AuthorityOptions {
  /**
   * What certificates call it: letters, digits, spaces and `.`, `_`, `-`, up to 64.
   *
   * @defaultValue 'colmena CA'
   */
  readonly name?: string | undefined
  /**
   * For how long it is good.
   *
   * @defaultValue 3650
   */
  readonly days?: number | undefined
}

/** A CA: who has its key can make a node of the cluster out of anything. */
export interface Authority {
  /** In PEM; all nodes have it. */
  readonly cert: string
  /** In PEM; no node needs it. */
  readonly key: string
}

/** A CA as {@link readAuthority} found it. */
export interface ReadAuthority {
  readonly certificate: X509Certificate
  readonly key: webcrypto.CryptoKey
}

/**
 * Makes a CA for one cluster.
 *
 * @throws ColmenaError ERR_INVALID_OPTION
 * @example
 * const { cert: ca, key: caKey } = await createAuthority({ name: 'shop' })
 */
export async function createAuthority(options: AuthorityOptions = {}): Promise<Authority> {
  const { name = 'colmena CA', days = 3_650 } = options
  if (!/^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$/.test(name)) {
    throw invalid(`name is '${name}'; it must be 1 to 64 letters, digits, spaces and . _ -`)
  }
  const keys = await generateKeys()
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [name] }],
    keys,
    serialNumber: createSerialNumber(),
    signingAlgorithm: SIGNATURE_ALGORITHM,
    ...validityOf(checkDays(days)),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { cert: `${certificate.toString('pem')}\n`, key: await toPem(keys.privateKey) }
}

/**
 * SHA-256 of a CA's certificate; of the first, if `ca` holds several. Nodes that have the same one
 * trust each other.
 *
 * @throws ColmenaError ERR_INVALID_OPTION
 */
export function authorityFingerprint(ca: string): Uint8Array<ArrayBuffer> {
  const hex = readCertificate(ca).fingerprint256.replaceAll(':', '')
  return new Uint8Array(Buffer.from(hex, 'hex'))
}

/** A CA that can issue: it lasts, and the key is its own, of the kind that is made here. */
export async function readAuthority(ca: string, caKey: string): Promise<ReadAuthority> {
  const certificate = readCertificate(ca)
  if (!certificate.ca) throw invalid('ca is a certificate that may not sign others: it is no CA')
  if (certificate.validToDate.getTime() <= Date.now()) {
    throw invalid(`ca has expired, at ${certificate.validToDate.toISOString()}: make a new one`)
  }
  const key = readKey(caKey)
  if (!certificate.checkPrivateKey(key)) throw invalid('caKey is not the key of ca')
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw invalid(
      'caKey is not a key of the curve P-256, as `colmena ca init` makes: have certificates for ' +
        'your nodes issued by whatever made that CA',
    )
  }
  const der = key.export({ type: 'pkcs8', format: 'der' })
  return {
    certificate: new X509Certificate(certificate.raw),
    key: await crypto.subtle.importKey('pkcs8', der, KEY_ALGORITHM, false, ['sign']),
  }
}

function readCertificate(ca: string): NodeCertificate {
  try {
    return new NodeCertificate(ca)
  } catch (cause) {
    throw invalid('ca holds no certificate in PEM', cause)
  }
}

function readKey(caKey: string): KeyObject {
  try {
    return createPrivateKey(caKey)
  } catch (cause) {
    throw invalid('caKey holds no private key in PEM (or one that is encrypted)', cause)
  }
}
