import { isIP } from 'node:net'
import { checkDays, invalid } from './arguments.ts'
import { readAuthority } from './authority.ts'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  createSerialNumber,
  ExtendedKeyUsageExtension,
  generateKeys,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  SIGNATURE_ALGORITHM,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  toPem,
  validityOf,
  X509CertificateGenerator,
} from './x509.ts'

export interface IssueOptions {
  /** The CA's certificate, in PEM. */
  readonly ca: string
  /** Its key, in PEM. */
  readonly caKey: string
  /** Letters, digits, `_`, `.` and `-`, up to 128. */
  readonly nodeId: string
  /**
   * More names and addresses that clients may find the node at, if its HTTP server uses the same
   * certificate. Each name is one that the node may take as its node id, too.
   *
   * @defaultValue none; 127.0.0.1 and ::1 are always in it
   */
  readonly addresses?: readonly string[] | undefined
  /**
   * For how long it is good; never longer than the CA.
   *
   * @defaultValue 365
   */
  readonly days?: number | undefined
}

/** What one node shows, and the key that proves it is its own. */
export interface NodeCertificate {
  readonly cert: string
  readonly key: string
}

const LOOPBACK = ['127.0.0.1', '::1']
const SERVER_AND_CLIENT = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']

/**
 * Makes the certificate of one node, as `open` takes it: `tls: { ca, cert, key }`.
 *
 * @throws ColmenaError ERR_INVALID_OPTION
 * @example
 * const { cert, key } = await issueCertificate({ ca, caKey, nodeId: 'a' })
 */
export async function issueCertificate(options: IssueOptions): Promise<NodeCertificate> {
  const { ca, caKey, nodeId, addresses = [], days = 365 } = options
  if (!/^[A-Za-z0-9._-]{1,128}$/.test(nodeId)) {
    throw invalid(`nodeId is '${nodeId}'; in a certificate it is 1 to 128 of A-Z a-z 0-9 . _ -`)
  }
  const asked = validityOf(checkDays(days))
  const authority = await readAuthority(ca, caKey)
  const { subjectName, notBefore, notAfter, publicKey } = authority.certificate
  const isForGood = asked.notAfter >= notAfter
  const keys = await generateKeys()
  const certificate = await X509CertificateGenerator.create({
    // Names of more than 64 characters are none to OpenSSL; what counts stands further below.
    subject: [{ CN: [nodeId.slice(0, 64)] }],
    issuer: subjectName,
    publicKey: keys.publicKey,
    signingKey: authority.key,
    serialNumber: createSerialNumber(),
    signingAlgorithm: SIGNATURE_ALGORITHM,
    // One for good is so from the first day: a machine whose clock is behind would refuse it.
    notBefore: isForGood ? notBefore : asked.notBefore,
    notAfter: isForGood ? notAfter : asked.notAfter,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension(SERVER_AND_CLIENT),
      new SubjectAlternativeNameExtension(namesFor(nodeId, addresses)),
      await AuthorityKeyIdentifierExtension.create(publicKey),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { cert: `${certificate.toString('pem')}\n`, key: await toPem(keys.privateKey) }
}

function namesFor(nodeId: string, addresses: readonly string[]): JsonGeneralName[] {
  const names = [`dns ${nodeId}`]
  for (const address of [...addresses, ...LOOPBACK]) {
    if (isIP(address) !== 0) names.push(`ip ${address}`)
    else if (/^(\*\.)?[A-Za-z0-9._-]{1,253}$/.test(address)) names.push(`dns ${address}`)
    else throw invalid(`'${address}' is neither an IP address nor a host's name`)
  }
  return [...new Set(names)].map((name) => {
    const [type, value] = name.split(' ') as ['dns' | 'ip', string]
    return { type, value }
  })
}
