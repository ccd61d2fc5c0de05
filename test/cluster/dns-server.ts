/** A DNS server over UDP and TCP, on loopback if not said, whose zone a test writes. */
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import dns2 from 'dns2'
import { toAddress } from '../../src/cluster/cluster.ts'

export type ZoneRecord =
  | { readonly type: 'A' | 'AAAA'; readonly value: string }
  | { readonly type: 'TXT'; readonly value: string | readonly string[] }
  | { readonly type: 'SRV'; readonly target: string; readonly port: number }

const { Packet } = dns2
const NXDOMAIN = 3
const SERVFAIL = 2
const TTL_S = 5

export class DnsServer implements AsyncDisposable {
  /** What it answers, by name. */
  readonly zone: Map<string, ZoneRecord[]> = new Map<string, ZoneRecord[]>()
  /** Names that it fails at, and questions, as `TYPE name`. */
  readonly broken: Set<string> = new Set<string>()
  /** Questions so far, as `TYPE name`. */
  readonly asked: string[] = []
  /** Whether it hears questions and keeps silent. */
  isMute = false
  readonly #host: string
  #servers: { close(): unknown }[] = []
  #port: number

  private constructor(host: string, port: number) {
    this.#host = host
    this.#port = port
  }

  static async start(host = '127.0.0.1', port = 0): Promise<DnsServer> {
    const server = new DnsServer(host, port)
    await server.listen()
    return server
  }

  /** `host:port`, as a resolver takes it. */
  get address(): string {
    return toAddress(this.#host, this.#port)
  }

  add(name: string, ...records: readonly ZoneRecord[]): void {
    this.zone.set(name, [...(this.zone.get(name) ?? []), ...records])
  }

  remove(name: string, isIt: (record: ZoneRecord) => boolean): void {
    const left = (this.zone.get(name) ?? []).filter((record) => !isIt(record))
    if (left.length === 0) this.zone.delete(name)
    else this.zone.set(name, left)
  }

  /** Again at the same port, after a close. */
  async listen(): Promise<void> {
    const handle = (request: DnsRequest, send: (response: object) => unknown): void => {
      const response = this.#answer(request)
      if (response !== null) send(response)
    }
    const type = isIPv6(this.#host) ? 'udp6' : 'udp4'
    const udp = dns2.createUDPServer({ type } as never)
    udp.on('request', handle as never)
    udp.bind(this.#port, this.#host)
    await once(udp, 'listening')
    const { port } = udp.address()
    const tcp = dns2.createTCPServer(handle as never)
    try {
      tcp.listen(port, this.#host)
      await once(tcp, 'listening')
    } catch (error) {
      udp.close()
      // What is free for UDP may be taken for TCP: another one then.
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || this.#port !== 0) throw error
      return this.listen()
    }
    this.#port = port
    this.#servers = [udp, tcp]
  }

  async close(): Promise<void> {
    const closing = this.#servers.splice(0).map(async (server) => {
      const closed = once(server as never, 'close')
      server.close()
      await closed
    })
    await Promise.all(closing)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #answer(request: DnsRequest): object | null {
    const response = Packet.createResponseFromRequest(request as never)
    const [question] = request.questions
    const name = question?.name.toLowerCase() ?? ''
    const type = TYPES.find((one) => Packet.TYPE[one] === question?.type)
    this.asked.push(`${type} ${name}`)
    if (this.isMute) return null
    const records = this.zone.get(name)
    if (this.broken.has(name) || this.broken.has(`${type} ${name}`))
      response.header.rcode = SERVFAIL
    else if (records === undefined) response.header.rcode = NXDOMAIN
    else {
      const matches = records.filter((record) => record.type === type)
      response.answers.push(...matches.map((record) => toResource(name, record) as never))
    }
    return response
  }
}

const TYPES = ['A', 'AAAA', 'TXT', 'SRV'] as const

interface DnsRequest {
  readonly questions: readonly { readonly name: string; readonly type: number }[]
}

function toResource(name: string, record: ZoneRecord): object {
  const head = { name, type: Packet.TYPE[record.type], class: Packet.CLASS.IN, ttl: TTL_S }
  if (record.type === 'TXT') return { ...head, data: record.value }
  if (record.type !== 'SRV') return { ...head, address: record.value }
  return { ...head, priority: 0, weight: 0, port: record.port, target: record.target }
}
