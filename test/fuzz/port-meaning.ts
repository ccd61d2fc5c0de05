/** What bytes at a peer port mean, by the format alone: its own reader is what is tested. */
import { crc32 } from 'node:zlib'
import { DecodeError } from '../../src/base/bytes.ts'
import { CALL_HEADER_BYTES } from '../../src/transport/call-wire.ts'
import type { Frame } from '../../src/transport/frame.ts'
import { checkHello, decodeHello, HANDSHAKE_BYTES_MAX } from '../../src/transport/hello.ts'
import type { Identity, Purpose } from '../../src/transport/transport.ts'
import { OWNER_KIND_MAX, WIRE_KIND } from '../../src/transport/wire-kind.ts'
import { FRAME_BYTES_MAX } from './live-port.ts'

export interface Meaning {
  /** What the hello wants; null without one, or one that is refused. */
  readonly purpose: Purpose | null
  /** What the port's owner hears. */
  readonly heard: readonly Frame[]
  /** It can't go on from here; without, there may be more to come. */
  readonly isOver: boolean
}

const PREFIX_BYTES = 8
const LINK_KINDS: readonly number[] = [WIRE_KIND.ping, WIRE_KIND.goodbye]

/** What a port of this identity, which takes no snapshots, makes of them. */
export function meaningOf(stream: Buffer, own: Identity): Meaning {
  const hello = frameAt(stream, 0, HANDSHAKE_BYTES_MAX)
  const purpose = typeof hello === 'string' ? null : purposeOf(hello, own)
  const heard: Frame[] = []
  if (typeof hello === 'string' || purpose === null) {
    return { purpose, heard, isOver: hello !== 'short' }
  }
  const bodyBytesMax = FRAME_BYTES_MAX + (purpose === 'call' ? CALL_HEADER_BYTES : 0)
  let frame = frameAt(stream, hello.end, bodyBytesMax)
  while (typeof frame !== 'string' && fits(purpose, frame)) {
    if (purpose !== 'call' && frame.kind <= OWNER_KIND_MAX) heard.push(frame)
    frame = frameAt(stream, frame.end, bodyBytesMax)
  }
  return { purpose, heard, isOver: frame !== 'short' }
}

function frameAt(
  stream: Buffer,
  at: number,
  bodyBytesMax: number,
): (Frame & { readonly end: number }) | 'short' | 'broken' {
  if (stream.length - at < PREFIX_BYTES) return 'short'
  const lengthBytes = stream.readUInt32LE(at)
  if (lengthBytes < 1 || lengthBytes > 1 + bodyBytesMax) return 'broken'
  const end = at + PREFIX_BYTES + lengthBytes
  if (end > stream.length) return 'short'
  const content = stream.subarray(at + PREFIX_BYTES, end)
  if (crc32(content) !== stream.readUInt32LE(at + 4)) return 'broken'
  return { kind: content[0] as number, body: content.subarray(1), end }
}

function purposeOf({ kind, body }: Frame, own: Identity): Purpose | null {
  if (kind !== WIRE_KIND.hello) return null
  try {
    const hello = decodeHello(body)
    if ('code' in hello) return null
    const { identity, purpose, expects } = hello
    const from = { ...identity, purpose, isIncoming: true, remoteAddress: '' }
    return checkHello(own, from, expects) === null ? purpose : null
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}

function fits(purpose: Purpose, { kind, body }: Frame): boolean {
  if (purpose === 'call') return kind === WIRE_KIND.call && body.length >= CALL_HEADER_BYTES
  // An offer is refused, and all else comes before one.
  if (purpose === 'snapshot') return false
  return kind <= OWNER_KIND_MAX || LINK_KINDS.includes(kind)
}
