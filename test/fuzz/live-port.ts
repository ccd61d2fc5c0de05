/** A live peer port for cases one after the other, and who asks it whether it still serves. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Identity } from '../../src/transport/transport.ts'
import { makePassing } from '../simulated/passing.ts'
import { clock, createIdentity, NodeLog, open, random, TestNode } from '../transport/cluster.ts'
import { RawPeer } from '../transport/raw-peer.ts'
import { HeldMemory } from './held-memory.ts'

export const FRAME_BYTES_MAX: number = 64 * 1024

const END_MS_MAX = 10_000
/** No timeout of the port may end what it has to end at once. */
const NEVER_MS = 600_000
const LOOK_CASES = 50
/**
 * Half of it is noise, and warnings that the port remembers, up to 1,024 of them. 64 KiB that stay
 * of each connection are found in the short form already: they are at least 6 MiB there.
 */
const GROWN_BYTES_MAX = 2 * 1024 * 1024

export class LivePort {
  readonly identity: Identity
  readonly node: TestNode
  /** A folder of its own. */
  readonly root: string
  readonly #caller: TestNode
  readonly #memory = new HeldMemory({ everyCases: LOOK_CASES, grownBytesMax: GROWN_BYTES_MAX })
  #cases = 0

  private constructor(identity: Identity, node: TestNode, caller: TestNode) {
    this.identity = identity
    this.node = node
    this.root = makePassing(join(tmpdir(), 'colmena-fuzz-port'))
    this.#caller = caller
  }

  static async open(): Promise<LivePort> {
    const identity = createIdentity(1)
    return new LivePort(identity, await openMember(identity), await openMember(createIdentity(2)))
  }

  async close(): Promise<void> {
    await Promise.all([this.node.close(), this.#caller.close()])
    rmSync(this.root, { recursive: true, force: true })
  }

  /** The number of the case, which also one that fails leaves to no other. */
  beginCase(): number {
    const { log } = this.node
    for (const list of [log.frames, log.events, log.warnings]) list.length = 0
    this.#cases += 1
    return this.#cases
  }

  /** Whatever came over it, the port serves the next one, and keeps nothing of it. */
  async endCase(): Promise<void> {
    await this.checkServes()
    this.#memory.check()
  }

  async checkServes(): Promise<void> {
    const { error, body } = await this.#caller.call(this.node.address, 1, 'still here')
    assert.deepEqual([error, body], [null, 'still here'], 'it serves the next one')
  }

  /** A bare socket that has said nothing. */
  dial(): RawPeer {
    const peer = new RawPeer(connect({ host: '127.0.0.1', port: this.node.transport.port }))
    peer.socket.setNoDelay(true)
    return peer
  }
}

async function openMember(identity: Identity): Promise<TestNode> {
  const log = new NodeLog()
  const options = {
    bind: { host: '127.0.0.1', port: 0 },
    security: { kind: 'plaintext' },
    clock,
    random,
    frameBytesMax: FRAME_BYTES_MAX,
    handshakeTimeoutMs: NEVER_MS,
    silenceMsMax: NEVER_MS,
  } as const
  return new TestNode(await open({ ...options, identity: () => identity }, log), log)
}

/** Waits for it, and for no longer than any peer may keep us waiting. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + END_MS_MAX
  while (!isSo()) {
    if (performance.now() > endMs) assert.fail(`not within ${END_MS_MAX} ms: ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
