/** A live peer port, and what no node of ours sends: its owner hears none of it. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { encodeHello } from '../../src/transport/hello.ts'
import type { Purpose } from '../../src/transport/transport.ts'
import { OWNER_KIND_MAX, WIRE_KIND } from '../../src/transport/wire-kind.ts'
import { createIdentity, text } from '../transport/cluster.ts'
import { frameBytes, type RawPeer } from '../transport/raw-peer.ts'
import { LivePort, until } from './live-port.ts'
import { breakBytes, type Mutation, mutations } from './mutations.ts'
import { type Meaning, meaningOf } from './port-meaning.ts'
import type { AnyTarget } from './target.ts'
import { data, record } from './values.ts'

/** Of the port's own kinds, and some that an owner has. */
const KINDS: readonly number[] = [...Object.values(WIRE_KIND), 0, 1, 7, OWNER_KIND_MAX]
/** Beyond all that are members otherwise. */
const FIRST_ID = 100

let port: LivePort

async function openPort(): Promise<() => Promise<void>> {
  port = await LivePort.open()
  return () => port.close()
}

interface Sent {
  readonly kind: number
  readonly body: Uint8Array
}

interface Session {
  readonly purpose: Purpose
  readonly frames: readonly Sent[]
  /** Within the hello, whose frame is whole all the same. */
  readonly helloChanges: readonly Mutation[]
  readonly changes: readonly Mutation[]
  readonly cuts: readonly number[]
}

const sent: fc.Arbitrary<Sent> = record({
  kind: fc.oneof(fc.constantFrom(...KINDS), fc.nat(OWNER_KIND_MAX)),
  body: data,
})
const session: fc.Arbitrary<Session> = record({
  purpose: fc.constantFrom<Purpose>('control', 'control', 'bulk', 'call', 'call', 'snapshot'),
  frames: fc.array(sent, { maxLength: 6 }),
  helloChanges: fc.oneof(
    { weight: 4, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: mutations },
  ),
  changes: mutations,
  cuts: fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 3 }),
})

/** Its owner hears what was said until it can't go on; then the port ends the connection. */
async function checkSession(made: Session): Promise<void> {
  const stream = encodeSession(made, FIRST_ID + port.beginCase())
  const meaning = meaningOf(stream, port.identity)
  const peer = port.dial()
  try {
    say(peer, stream, made.cuts)
    await checkEnd(peer, meaning)
  } finally {
    peer.socket.destroy()
  }
  const heard = port.node.log.frames.map(({ kind, body }) => [kind, body])
  assert.deepEqual(
    heard,
    meaning.heard.map(({ kind, body }) => [kind, text(body)]),
  )
  if (meaning.purpose === null) {
    assert.ok(!peer.kinds.includes(WIRE_KIND.welcome), 'nobody is welcome without a proper hello')
  }
  await port.endCase()
}

function encodeSession(made: Session, memberId: number): Buffer {
  const { purpose, frames, helloChanges, changes } = made
  const hello = encodeHello({ identity: createIdentity(memberId), purpose, expects: 0 })
  const whole = Buffer.concat([
    frameBytes(WIRE_KIND.hello, breakBytes(hello, hello, helloChanges)),
    ...frames.map(({ kind, body }) => frameBytes(kind, body)),
  ])
  return Buffer.from(breakBytes(whole, whole, changes))
}

function say(peer: RawPeer, what: Buffer, cuts: readonly number[]): void {
  for (let at = 0, i = 0; at < what.length; i += 1) {
    const end = at + (cuts[i % cuts.length] as number)
    peer.socket.write(what.subarray(at, end))
    at = end
  }
}

async function checkEnd(peer: RawPeer, { heard, isOver }: Meaning): Promise<void> {
  if (isOver) {
    // Who sends what has no meaning may not even hang up.
    await until('the port ends what can not go on', () => peer.isClosed)
    return
  }
  await until('all that was said', () => port.node.log.frames.length >= heard.length)
  await port.checkServes()
  assert.ok(!peer.isClosed, 'the port waits for what may come yet')
  peer.socket.end()
  await until('the end of the connection', () => peer.isClosed)
}

export const portTargets: readonly AnyTarget[] = [
  { name: 'transport.port', runs: 300, input: session, open: openPort, check: checkSession },
]
