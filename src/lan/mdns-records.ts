import { createHash } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import { toAddress } from '../cluster/cluster.ts'

/** As RFC 6763 names services: at most 15 characters, so the cluster stands beside it. */
const SERVICE = '_colmena._tcp.local'
/** What asks for all services of a network. */
const SERVICES = '_services._dns-sd._udp.local'
const TTL_S = 120
const TTL_S_MAX = 300
/** Of one packet; ours have one each. */
const ANNOUNCEMENTS_MAX = 16
const HOST_NAME = /^[0-9a-z]([0-9a-z.-]{0,251}[0-9a-z])?$/

/** A record, in the shape that the codec takes and gives. */
export interface MdnsRecord {
  readonly name: string
  readonly type: string
  readonly ttl?: number | undefined
  readonly data?: unknown
  readonly flush?: boolean | undefined
}

export interface Own {
  /** The hash that names the cluster: 16 hexadecimal digits. */
  readonly cluster: string
  readonly nodeId: string
  readonly host: string
  readonly port: number
}

/** What one node says of itself. */
export interface Announcement {
  readonly address: string
  /** 0 takes it back. */
  readonly ttlMs: number
}

/** The question of a node for its cluster alone: others have nothing to answer. */
export function question(cluster: string): { readonly name: string; readonly type: 'PTR' } {
  return { name: subtype(cluster), type: 'PTR' }
}

/** Everything of this node in one packet, so that whoever has the packet needs no second one. */
export function describeNode(own: Own, isGoodbye = false): readonly MdnsRecord[] {
  const ttl = isGoodbye ? 0 : TTL_S
  const { instance, target } = namesOf(own)
  const address = { name: target, ttl, flush: true, data: own.host }
  return [
    { name: subtype(own.cluster), type: 'PTR', ttl, data: instance },
    { name: SERVICE, type: 'PTR', ttl, data: instance },
    // Others of this service may stay.
    ...(isGoodbye ? [] : [{ name: SERVICES, type: 'PTR', ttl, data: SERVICE }]),
    { name: instance, type: 'SRV', ttl, flush: true, data: { port: own.port, target } },
    { name: instance, type: 'TXT', ttl, flush: true, data: [`cluster=${own.cluster}`] },
    ...(isIPv4(own.host) ? [{ ...address, type: 'A' }] : []),
    ...(isIPv6(own.host) ? [{ ...address, type: 'AAAA' }] : []),
  ]
}

/** Whether this node has something to say to one of the questions. */
export function isAsked(
  own: Own,
  questions: readonly Pick<MdnsRecord, 'name' | 'type'>[],
): boolean {
  const { instance, target } = namesOf(own)
  const lists = [subtype(own.cluster), SERVICE, SERVICES]
  return questions.some(({ name, type }) => {
    const asked = name.toLowerCase()
    if (lists.includes(asked)) return type === 'PTR' || type === 'ANY'
    return asked === instance || asked === target
  })
}

/** The nodes of a cluster that a packet tells of. Records may be anybody's and anything. */
export function readAnnouncements(
  records: readonly MdnsRecord[],
  cluster: string,
): readonly Announcement[] {
  const found: Announcement[] = []
  for (const record of records) {
    if (record.type !== 'SRV' || !isOfCluster(records, record.name, cluster)) continue
    const { port, target } = record.data as { readonly port: number; readonly target: string }
    const host = hostOf(records, target)
    if (host === null || port === 0) continue
    const ttlMs = Math.min(record.ttl ?? 0, TTL_S_MAX) * 1000
    found.push({ address: toAddress(host, port), ttlMs })
    if (found.length >= ANNOUNCEMENTS_MAX) break
  }
  return found
}

function isOfCluster(records: readonly MdnsRecord[], instance: string, cluster: string): boolean {
  if (!instance.toLowerCase().endsWith(`.${SERVICE}`)) return false
  const texts = records.find(({ type, name }) => type === 'TXT' && name === instance)?.data
  const parts: readonly unknown[] = Array.isArray(texts) ? texts : [texts]
  return parts.some((part) => String(part) === `cluster=${cluster}`)
}

/** Its address where the packet has it, else its name, if that is one for the whole network. */
function hostOf(records: readonly MdnsRecord[], target: string): string | null {
  for (const { type, name, data } of records) {
    if (name !== target || (type !== 'A' && type !== 'AAAA')) continue
    if (typeof data === 'string' && (isIPv4(data) || isIPv6(data))) return data
  }
  const host = target.toLowerCase()
  return HOST_NAME.test(host) && !host.endsWith('.local') ? host : null
}

function subtype(cluster: string): string {
  return `_${cluster}._sub.${SERVICE}`
}

/** A node's id may be longer than a label can be; a host that has a name of its own keeps it. */
function namesOf({ nodeId, host }: Own): { readonly instance: string; readonly target: string } {
  const label = `colmena-${createHash('sha256').update(nodeId).digest('hex').slice(0, 16)}`
  const hasName = !isIPv4(host) && !isIPv6(host)
  return {
    instance: `${label}.${SERVICE}`,
    target: hasName ? host.toLowerCase() : `${label}.local`,
  }
}
