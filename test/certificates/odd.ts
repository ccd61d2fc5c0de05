/** Certificates that `issueCertificate` never makes, but a company's CA may. */
import {
  BasicConstraintsExtension,
  createSerialNumber,
  ExtendedKeyUsageExtension,
  generateKeys,
  type JsonGeneralName,
  SIGNATURE_ALGORITHM,
  SubjectAlternativeNameExtension,
  toPem,
  validityOf,
  X509CertificateGenerator,
} from '../../src/certificates/x509.ts'

export interface Signer {
  readonly cert: string
  readonly key: string
  readonly name: string
  readonly keys: Awaited<ReturnType<typeof generateKeys>>
}

export interface OddOptions {
  readonly name: string
  /** Itself, where it is left out. */
  readonly by?: Signer
  readonly isAuthority?: boolean
  readonly names?: readonly JsonGeneralName[]
  readonly uses?: readonly string[]
}

export async function makeOdd({
  name,
  by,
  isAuthority = false,
  names,
  uses,
}: OddOptions): Promise<Signer> {
  const keys = await generateKeys()
  const certificate = await X509CertificateGenerator.create({
    subject: [{ CN: [name] }],
    issuer: [{ CN: [by?.name ?? name] }],
    publicKey: keys.publicKey,
    signingKey: (by?.keys ?? keys).privateKey,
    serialNumber: createSerialNumber(),
    signingAlgorithm: SIGNATURE_ALGORITHM,
    ...validityOf(10),
    extensions: [
      new BasicConstraintsExtension(isAuthority, undefined, true),
      ...(names === undefined ? [] : [new SubjectAlternativeNameExtension([...names])]),
      ...(uses === undefined ? [] : [new ExtendedKeyUsageExtension([...uses])]),
    ],
  })
  return { cert: certificate.toString('pem'), key: await toPem(keys.privateKey), name, keys }
}
