import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CALLS } from '../../../src/engine/wire.ts'
import type { OpenOptions } from '../../../src/index.ts'
import type { ServerOptions } from '../../../src/server/server.ts'
import type { TransportSecurity } from '../../../src/transport/transport.ts'
import { TestAuthority } from '../../certificates/authority.ts'
import { createIdentity, openNode, type Scope } from '../../transport/cluster.ts'
import { openProxy } from '../../transport/raw-peer.ts'
import { NodeHandle, optionsToPreload } from '../node-handle.ts'
import {
  atCertificates,
  atHttp,
  atPlaintext,
  atSecret,
  type Overheard,
  type Stranger,
} from '../strangers.ts'
import { until } from '../wait.ts'

export interface SecurityForm {
  /** So many of each kind of stranger, at each port. */
  readonly each: number
  /** Whether one node after the other is besieged: this process is busy enough with one of them. */
  readonly isInTurn: boolean
}

/** One port, and all who come there. */
interface Port {
  readonly name: string
  readonly port: number
  readonly strangers: Readonly<Record<string, Stranger>>
}

interface Siege {
  readonly isOver: boolean
}

interface Visits {
  readonly each: number
  /** When a stranger leaves by itself; null where it stays until it is cut off. */
  readonly leavesAfterMs: number | null
  readonly secrets: readonly Buffer[]
}

/** A node in a process of its own, with an HTTP server. */
interface Target {
  readonly name: string
  readonly node: NodeHandle
  readonly httpPort: number
  readonly ports: readonly Port[]
  readonly address: string
  /** What lets nodes in. */
  readonly security: TransportSecurity
  /** What nobody may hear who is not let in. */
  readonly secrets: readonly Buffer[]
}

const GARBAGE = new URL('../garbage.ts', import.meta.url)
const NODE_ID = 'node-in-here'
const FRIEND_ID = 'friend-of-it'
const TREASURE = 'what only members know'
const SECRET = 'a secret that only members know'
const TOKEN = 'a-token-that-only-friends-know'
/** Strangers come from so many addresses: one address has half of the room at most. */
const ADDRESSES = 8
const AT_ONCE = 80
const GROWTH_MAX = 1.1
/** What the deadlines of HTTP are here. Those between nodes are as they always are. */
const PATIENCE_MS = 1_500
const LEAVES_AFTER_MS = 300
/** Far more than any deadline that ends a stranger. */
const STRANGER_MS_MAX = 120_000

/**
 * Every port of a node amid those who have no business there: each is refused, or cut off in time,
 * and hears nothing of the cluster; meanwhile the node works for those who have, and afterwards it
 * is no larger than before.
 */
export async function runSecurity({ each, isInTurn }: SecurityForm): Promise<string[]> {
  const ends: (() => unknown)[] = []
  const scope: Scope = { after: (end) => void ends.push(end) }
  try {
    const targets = await Promise.all([openPlain(scope), openShared(scope), openCertified(scope)])
    const lines: string[] = []
    for (const besieged of isInTurn ? targets.map((target) => [target]) : [targets]) {
      lines.push(...(await Promise.all(besieged.map((target) => besiege(target, each)))))
    }
    return lines
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

async function besiege(target: Target, each: number): Promise<string> {
  const { name, node, ports, secrets } = target
  const visit = (visits: Omit<Visits, 'secrets'>): Promise<number[]> =>
    Promise.all(ports.map((port) => visitAll(port, { ...visits, secrets })))
  // What is loaded and compiled at the first of each kind is there to stay.
  await visit({ each, leavesAfterMs: LEAVES_AFTER_MS })
  const beforeBytes = await node.call('heldBytes')
  const siege = { isOver: false }
  const visiting = visit({ each, leavesAfterMs: null }).finally(() => {
    siege.isOver = true
  })
  const [visits, writes, friends] = await Promise.all([
    visiting,
    write(node, siege),
    befriend(target, siege),
  ])
  assert.ok(writes > 0 && friends > 0, `${name}: ${writes} writes, ${friends} friends`)
  const afterBytes = await until(`${name} is no larger than before`, async () => {
    const bytes = await node.call('heldBytes')
    return bytes <= GROWTH_MAX * beforeBytes && bytes
  })
  const came = ports.map((port, at) => `${visits[at]} to ${port.name}`).join(', ')
  const [before, after] = [beforeBytes, afterBytes].map((bytes) => Math.round(bytes / 2 ** 20))
  return (
    `${name}: ${came}: all refused or cut off, and none heard a thing; meanwhile ` +
    `${writes} writes, ${friends} friends let in; ${before} MiB before, ${after} MiB after`
  )
}

/** All kinds in turn, many at once: how many came. */
async function visitAll(
  { name, port, strangers }: Port,
  { each, leavesAfterMs, secrets }: Visits,
): Promise<number> {
  const kinds = Object.entries(strangers)
  const count = each * kinds.length
  let next = 0
  const visitOn = async (): Promise<void> => {
    while (next < count) {
      const number = next
      next += 1
      const [kind, stranger] = kinds[number % kinds.length] as (typeof kinds)[number]
      const from = `127.0.0.${2 + (number % ADDRESSES)}`
      const heard = await hear(`${kind} at ${name}`, stranger({ port, from }), leavesAfterMs)
      const learnt = secrets.find((secret) => heard.includes(secret))
      assert.equal(learnt, undefined, `${kind} at ${name} heard ${learnt}: ${heard}`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, visitOn))
  return count
}

/** All that came until it was over. @throws Error where it never is and the stranger stays */
function hear(who: string, socket: Socket, leavesAfterMs: number | null): Promise<Buffer> {
  const chunks: Buffer[] = []
  return new Promise((resolve, reject) => {
    const overdue = setTimeout(() => {
      socket.destroy()
      if (leavesAfterMs !== null) return
      reject(new Error(`${who} was not cut off within ${STRANGER_MS_MAX / 1000} s`))
    }, leavesAfterMs ?? STRANGER_MS_MAX)
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.once('close', () => {
      clearTimeout(overdue)
      resolve(Buffer.concat(chunks))
    })
  })
}

/** How many writes there were meanwhile, none of which may fail. */
async function write(node: NodeHandle, siege: Siege): Promise<number> {
  let count = 0
  do {
    await node.call('execute', 'INSERT INTO t VALUES (?)', [`${TREASURE} ${count}`])
    count += 1
  } while (!siege.isOver)
  return count
}

/** How many friends came in meanwhile. One that is pushed out comes again, as all nodes do. */
async function befriend({ address, security }: Target, siege: Siege): Promise<number> {
  let count = 0
  do {
    await until('a friend is let in', () => isLetIn(address, security))
    count += 1
  } while (!siege.isOver)
  return count
}

/** Whether a node that may come in, and was never there before, hears an answer. */
async function isLetIn(address: string, security: TransportSecurity): Promise<boolean> {
  const identity = createIdentity(0, { clusterId: new Uint8Array(16), nodeId: FRIEND_ID })
  const scope = { after: () => {} }
  const friend = await openNode(scope, { memberId: 0, identity: () => identity, security })
  try {
    const { error } = await friend.call(address, CALLS.meet, '')
    return error === null
  } finally {
    await friend.close()
  }
}

async function openTarget(
  scope: Scope,
  name: string,
  open: Partial<OpenOptions>,
  serve: ServerOptions,
): Promise<Omit<Target, 'ports' | 'security'>> {
  const directory = mkdtempSync(join(tmpdir(), 'colmena-security-'))
  const node = new NodeHandle({ env: { NODE_OPTIONS: optionsToPreload(GARBAGE) } })
  scope.after(() => rmSync(directory, { recursive: true, force: true }))
  scope.after(() => node.kill())
  const own = { nodeId: NODE_ID, dataDir: join(directory, 'data'), bind: '127.0.0.1:0' }
  const { address } = await node.call('open', { ...own, bootstrap: true, ...open })
  await node.call('execute', 'CREATE TABLE t (text)')
  await node.call('execute', 'INSERT INTO t VALUES (?)', [TREASURE])
  const { clusterId } = await node.call('status')
  const texts = [NODE_ID, TREASURE, SECRET, TOKEN, clusterId, address]
  const secrets = [...texts.map((text) => Buffer.from(text)), Buffer.from(clusterId, 'hex')]
  const timeouts = { headersTimeoutMs: PATIENCE_MS, requestTimeoutMs: PATIENCE_MS }
  const options = { tokens: { [TOKEN]: 'admin' }, idleTimeoutMs: PATIENCE_MS, ...timeouts } as const
  const httpPort = await node.call('serve', { ...options, ...serve })
  return { name, node, address, secrets, httpPort }
}

async function openPlain(scope: Scope): Promise<Target> {
  const target = await openTarget(scope, 'plaintext', {}, {})
  return {
    ...target,
    security: { kind: 'plaintext' },
    ports: [{ name: 'nodes', port: portOf(target), strangers: atPlaintext }],
  }
}

async function openShared(scope: Scope): Promise<Target> {
  const security: TransportSecurity = { kind: 'psk', secrets: [SECRET] }
  const target = await openTarget(scope, 'secret', { secret: SECRET }, {})
  const strangers = atSecret(await overhear(scope, target, security))
  return {
    ...target,
    security,
    ports: [
      { name: 'nodes', port: portOf(target), strangers },
      { name: 'HTTP', port: target.httpPort, strangers: atHttp(false) },
    ],
  }
}

async function openCertified(scope: Scope): Promise<Target> {
  const authority = await TestAuthority.create('CA of this cluster')
  const other = await TestAuthority.create('another CA')
  const { kind: _, ...own } = await authority.tls(NODE_ID)
  const { cert, key } = own
  const target = await openTarget(scope, 'certificates', { tls: own }, { tls: { cert, key } })
  const security = await authority.tls(FRIEND_ID)
  const overheard = await overhear(scope, target, security)
  const strangers = atCertificates(overheard, await other.tls('stranger'))
  return {
    ...target,
    security,
    ports: [
      { name: 'nodes', port: portOf(target), strangers },
      { name: 'HTTPS', port: target.httpPort, strangers: atHttp(true) },
    ],
  }
}

/** Writes down what a friend sends, from somewhere on the way. */
async function overhear(
  scope: Scope,
  { address }: Pick<Target, 'address'>,
  security: TransportSecurity,
): Promise<Overheard> {
  const chunks: Buffer[] = []
  const proxy = await openProxy(scope, portOf({ address }), (chunk) => {
    chunks.push(Buffer.from(chunk))
    return chunk
  })
  assert.ok(await isLetIn(proxy.address, security), 'a friend is let in by way of a proxy')
  return { sent: Buffer.concat(chunks) }
}

function portOf({ address }: Pick<Target, 'address'>): number {
  return Number(address.split(':').at(-1))
}
