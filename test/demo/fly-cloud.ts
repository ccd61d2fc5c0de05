/**
 * What Fly.io does for an application, on loopback: it starts machines again that end, knows them
 * by its DNS, and its proxy sends a request to any of them, or again to the one that is named.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DnsServer } from '../cluster/dns-server.ts'

const MACHINE = fileURLToPath(new URL('fly-machine.ts', import.meta.url))
const PAGE_PORT = 9418
export const AGENT_PORT = 9417
export const SECRET = 'a secret of these machines alone'

export interface Answer {
  readonly status: number
  /** What Fly.io's proxy is told to do with the request. */
  readonly replay: string | null
}

export class FlyCloud {
  /** Machine ids, in the order in which they were started. */
  readonly ids: string[] = []
  readonly #folder: string
  readonly #dns: DnsServer
  readonly #processes = new Map<string, ChildProcess>()
  readonly #proxy = createServer((incoming, outgoing) => void this.#pass(incoming, outgoing))
  #turn = 0
  #isClosed = false
  /** What the machines said, for whoever wonders. */
  output = ''

  private constructor(folder: string, dns: DnsServer) {
    this.#folder = folder
    this.#dns = dns
  }

  static async open(folder: string): Promise<FlyCloud> {
    const cloud = new FlyCloud(folder, await DnsServer.start())
    cloud.#proxy.listen(0, '127.0.0.1')
    await once(cloud.#proxy, 'listening')
    return cloud
  }

  /** Of the proxy. */
  get url(): string {
    return `http://127.0.0.1:${(this.#proxy.address() as AddressInfo).port}/`
  }

  /** Begins a machine; a later one has a later id. */
  add(): void {
    const id = `e784079b4494${this.ids.length + 1}8`
    this.ids.push(id)
    const list = this.ids.map((known) => `${known} fra`).join(',')
    this.#dns.zone.set('vms.app.internal', [{ type: 'TXT', value: list }])
    const value = `::ffff:7f00:40${this.ids.length}`
    this.#dns.add(`${id}.vm.app.internal`, { type: 'AAAA', value })
    this.#run(id)
  }

  hostOf(id: string): string {
    return `127.0.4.${this.ids.indexOf(id) + 1}`
  }

  pidOf(id: string): number {
    return this.#processes.get(id)?.pid ?? 0
  }

  /** As a power cut; the machine starts again by itself. */
  kill(id: string): void {
    this.#processes.get(id)?.kill('SIGKILL')
  }

  /** Asks one machine, past the proxy; null while it is not there. */
  ask(id: string, path: string, headers: Record<string, string> = {}): Promise<Answer | null> {
    return new Promise((resolve) => {
      const asked = request({ host: this.hostOf(id), port: PAGE_PORT, path, headers })
      asked.on('error', () => resolve(null))
      asked.on('response', (response) => {
        response.resume()
        const { 'fly-replay': replay } = response.headers
        resolve({ status: response.statusCode ?? 0, replay: replay?.toString() ?? null })
      })
      asked.end()
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const ends = [...this.#processes.values()].map((child) => once(child, 'exit'))
    for (const child of this.#processes.values()) child.kill('SIGKILL')
    await Promise.all(ends)
    this.#proxy.close()
    this.#proxy.closeAllConnections()
    await this.#dns.close()
  }

  #run(id: string): void {
    if (this.#isClosed) return
    const env = {
      ...process.env,
      FLY_MACHINE_ID: id,
      FLY_PRIVATE_IP: `::ffff:${this.hostOf(id)}`,
      FLY_REGION: 'fra',
      FLY_APP_NAME: 'app',
      COLMENA_DATA_DIR: join(this.#folder, id),
      COLMENA_SECRET: SECRET,
      TEST_DNS: this.#dns.address,
    }
    const child = spawn(process.execPath, [MACHINE], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        this.output += `${id}: ${chunk}`
      })
    }
    this.#processes.set(id, child)
    child.on('exit', () => this.#run(id))
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    this.#turn += 1
    const first = this.ids[this.#turn % this.ids.length] as string
    this.#send(first, incoming, body, outgoing)
  }

  #send(id: string, incoming: IncomingMessage, body: Buffer, outgoing: ServerResponse): void {
    const { method, url: path, headers } = incoming
    const passed = request(
      { host: this.hostOf(id), port: PAGE_PORT, method, path, headers },
      (response) => {
        const next = this.#replayTo(id, response.headers['fly-replay'])
        if (next !== null) {
          response.resume()
          headers['fly-replay-src'] = `instance=${id};${response.headers['fly-replay']}`
          this.#send(next, incoming, body, outgoing)
          return
        }
        outgoing.writeHead(response.statusCode ?? 500, response.headers)
        response.pipe(outgoing)
        response.on('close', () => outgoing.destroy())
        outgoing.on('close', () => response.destroy())
      },
    )
    passed.on('error', () => {
      if (!outgoing.headersSent) outgoing.writeHead(502)
      outgoing.end()
    })
    passed.end(body)
  }

  #replayTo(id: string, header: string | string[] | undefined): string | null {
    if (header === undefined) return null
    const next = this.ids[(this.ids.indexOf(id) + 1) % this.ids.length] as string
    return /^instance=(\w+)/.exec(String(header))?.[1] ?? next
  }
}
