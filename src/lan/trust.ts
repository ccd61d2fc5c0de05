import { scryptSync, X509Certificate } from 'node:crypto'
import { authorityFingerprint, issueCertificate } from '../certificates/certificates.ts'
import { invalidOption, ownHosts, type PassedOptions } from '../cluster/cluster.ts'
import type { TlsOptions } from '../index.ts'

/** What nodes of one LAN cluster have in common. */
export interface TrustOptions {
  /** The cluster's CA, in PEM: its certificate. `colmena ca init` makes one. */
  readonly ca?: string | undefined
  /** Its key. Whoever has it can make a node of the cluster out of any machine. */
  readonly caKey?: string | undefined
}

export interface Trust {
  /** 16 hexadecimal digits that everybody on the network may see. */
  readonly cluster: string
  /** Makes a certificate of this node; null where its nodes know each other in another way. */
  readonly issue: ((nodeId: string) => Promise<TlsOptions>) | null
  /** Why nobody can be known just now, by the clock of this machine; null where they can. */
  readonly fault: () => string | null
}

const CLUSTER_BYTES = 8
/**
 * Never longer than the CA's own. Made at each start, it lives in memory alone, beside the key of
 * the CA: that it ends sooner would protect nothing, and stop a node that runs for long.
 */
const LEAF_DAYS = 36_500
const WITHOUT_CERTIFICATES = { issue: null, fault: () => null } as const
/** Of those that have nothing in common but their network. */
const NO_TRUST = '0'.repeat(2 * CLUSTER_BYTES)

/**
 * How the nodes of a cluster know each other, and the name that follows from it: so several
 * clusters share a network without seeing each other.
 *
 * @throws ColmenaError ERR_INVALID_OPTION
 */
export function toTrust(
  { ca, caKey }: TrustOptions,
  { tls, secret, insecure }: Pick<PassedOptions, 'tls' | 'secret' | 'insecure'>,
): Trust {
  if ((ca === undefined) !== (caKey === undefined)) {
    throw invalidOption(
      `${ca === undefined ? 'ca' : 'caKey'} is missing: give both of them or none`,
    )
  }
  if (ca !== undefined && caKey !== undefined) {
    if (tls !== undefined) throw invalidOption('tls and ca exclude each other: ca makes it')
    return {
      cluster: toName(authorityFingerprint(ca)),
      issue: (nodeId) => issueLeaf(ca, caKey, nodeId),
      fault: () => clockFault(ca),
    }
  }
  if (tls !== undefined) {
    const [first = ''] = [tls.ca].flat()
    const pem = Buffer.from(first as string).toString()
    const cluster = toName(authorityFingerprint(pem))
    return { cluster, issue: null, fault: () => clockFault(pem) }
  }
  const [newest] = [secret ?? []].flat()
  // Everybody sees the name: guessing the secret by it must cost more than asking a node.
  if (newest !== undefined) {
    const cluster = toName(scryptSync(newest, 'colmena lan', CLUSTER_BYTES))
    return { cluster, ...WITHOUT_CERTIFICATES }
  }
  if (insecure === true) return { cluster: NO_TRUST, ...WITHOUT_CERTIFICATES }
  throw invalidOption(
    'nodes on a LAN need something to know each other by: ca and caKey, or secret; or ' +
      'insecure: true, if everybody on this network may own the data',
  )
}

/**
 * A small machine has no clock of its own while it is off, and may start with one of years ago: by
 * that no certificate is good yet, and the whole cluster would count as strangers.
 */
function clockFault(ca: string, now: Date = new Date()): string | null {
  const { validFromDate, validToDate } = new X509Certificate(ca)
  if (now >= validFromDate && now <= validToDate) return null
  return (
    `the clock of this machine says ${now.toISOString()}, and the CA is good from ` +
    `${validFromDate.toISOString()} to ${validToDate.toISOString()}: nobody can show a good ` +
    'certificate until the clock is right, or the CA another one'
  )
}

function toName(bytes: Uint8Array): string {
  return Buffer.from(bytes).subarray(0, CLUSTER_BYTES).toString('hex')
}

async function issueLeaf(ca: string, caKey: string, nodeId: string): Promise<TlsOptions> {
  const issued = { ca, caKey, nodeId, addresses: ownHosts(), days: LEAF_DAYS }
  return { ca, ...(await issueCertificate(issued)) }
}
