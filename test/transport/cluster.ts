import { ColmenaError } from '../../src/base/errors.ts'
import type { Clock, Random } from '../../src/base/ports.ts'
import type {
  Identity,
  Lane,
  PeerHello,
  Refusal,
  Reply,
  SnapshotManifest,
  Transport,
  TransportHandlers,
  TransportOptions,
} from '../../src/transport/transport.ts'
import { openTransport } from '../../src/transport/transport.ts'

export const SECRET = 'a secret of more than sixteen bytes'

export const clock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs)
    return () => clearTimeout(timer)
  },
}

export const random: Random = { u32: () => Math.floor(Math.random() * 0x1_0000_0000) }

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export function text(body: Uint8Array | undefined): string {
  return new TextDecoder().decode(body)
}

/** Waits for a condition, generously; the message says what never came. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 20_000
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`never came true: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

export interface ReceivedFrame {
  readonly from: number
  readonly lane: Lane
  readonly kind: number
  readonly body: string
}

export function createIdentity(memberId: number, change: Partial<Identity> = {}): Identity {
  const bootNonce = crypto.getRandomValues(new Uint8Array(8))
  return {
    clusterId: new Uint8Array(16).fill(7),
    memberId,
    nodeId: `node-${memberId}`,
    address: '127.0.0.1:1',
    bootNonce,
    incarnation: 1,
    formatMin: 1,
    formatMax: 1,
    fingerprint: 'test',
    ...change,
  }
}

/** One open transport, and everything it told its owner. */
export class TestNode {
  readonly transport: Transport
  readonly log: NodeLog

  constructor(transport: Transport, log: NodeLog) {
    this.transport = transport
    this.log = log
  }

  get address(): string {
    return `127.0.0.1:${this.transport.port}`
  }

  call(
    to: number | string,
    kind: number,
    body: string,
    timeoutMs = 10_000,
  ): Promise<{ error: ColmenaError | null; body: string }> {
    return new Promise((resolve) => {
      this.transport.call(to, kind, bytes(body), timeoutMs, (error, answer) =>
        resolve({ error, body: text(answer) }),
      )
    })
  }

  sendSnapshot(
    to: number,
    manifest: SnapshotManifest,
    directory: string,
  ): Promise<ColmenaError | null> {
    return new Promise((resolve) => {
      this.transport.sendSnapshot(to, manifest, directory, resolve)
    })
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.transport.close(resolve))
  }
}

/** Handlers that note everything; a test replaces those it cares about. */
export class NodeLog implements TransportHandlers {
  readonly frames: ReceivedFrame[] = []
  readonly events: string[] = []
  readonly warnings: { readonly code: string; readonly message: string }[] = []
  refuse: (hello: PeerHello) => Refusal | null = () => null
  answer: (from: PeerHello, kind: number, body: Uint8Array, reply: Reply) => void = (
    _from,
    _kind,
    body,
    reply,
  ) => reply(null, body)
  directoryFor: (from: number, manifest: SnapshotManifest) => string | null = () => null

  peerHello(hello: PeerHello): Refusal | null {
    return this.refuse(hello)
  }

  frame(from: number, lane: Lane, kind: number, body: Uint8Array): void {
    this.frames.push({ from, lane, kind, body: text(body) })
  }

  connected(peer: number): void {
    this.events.push(`connected ${peer}`)
  }

  disconnected(peer: number, cause: string): void {
    this.events.push(`disconnected ${peer} ${cause}`)
  }

  call(from: PeerHello, kind: number, body: Uint8Array, reply: Reply): void {
    this.answer(from, kind, body, reply)
  }

  snapshotOffered(
    from: number,
    manifest: SnapshotManifest,
    accept: (directory: string) => void,
    refuse: (reason: string) => void,
  ): void {
    const directory = this.directoryFor(from, manifest)
    if (directory === null) refuse('not wanted')
    else accept(directory)
  }

  snapshotReceived(from: number, manifest: SnapshotManifest, error: ColmenaError | null): void {
    this.events.push(`snapshot ${from} ${manifest.index} ${error?.message ?? 'whole'}`)
  }

  warning(code: string, message: string): void {
    this.warnings.push({ code, message })
  }
}

/** What knows when it is over: a test, or a long form. */
export interface Scope {
  after(end: () => unknown): void
}

export type NodeChange = Partial<TransportOptions> & { readonly memberId: number }

/** Opens a transport on a free port of loopback; it is closed when the test ends. */
export async function openNode(t: Scope, change: NodeChange): Promise<TestNode> {
  const { memberId, ...options } = change
  const identity = createIdentity(memberId)
  const log = new NodeLog()
  const transport = await open(
    {
      bind: { host: '127.0.0.1', port: 0 },
      security: { kind: 'plaintext' },
      identity: () => identity,
      clock,
      random,
      ...options,
    },
    log,
  )
  const node = new TestNode(transport, log)
  t.after(() => node.close())
  return node
}

export function open(options: TransportOptions, handlers: TransportHandlers): Promise<Transport> {
  return new Promise((resolve, reject) => {
    openTransport(options, handlers, (error, transport) => {
      if (transport === null) reject(error)
      else resolve(transport)
    })
  })
}

/** Makes both nodes peers of each other, and waits for all four links. */
export async function linkNodes(
  a: TestNode,
  b: TestNode,
  ids: readonly [number, number] = [1, 2],
): Promise<void> {
  const [idA, idB] = ids
  a.transport.setPeer(idB, b.address)
  b.transport.setPeer(idA, a.address)
  await until('links in both directions', () => isLinked(a, idB) && isLinked(b, idA))
}

/** Whether both lanes to this peer take frames. */
export function isLinked(node: TestNode, id: number): boolean {
  const empty: Uint8Array[] = []
  return (
    node.transport.send(id, 'control', 0, empty) &&
    node.transport.send(id, 'bulk', 0, empty) &&
    node.transport.peers().some((peer) => peer.id === id && peer.isIncoming)
  )
}

/** The frames that a test sent on purpose: kind 0 is what {@link isLinked} sends. */
export function payloads(node: TestNode): readonly ReceivedFrame[] {
  return node.log.frames.filter((frame) => frame.kind !== 0)
}

export function codeOf(error: unknown): string {
  return error instanceof ColmenaError ? error.code : String(error)
}
