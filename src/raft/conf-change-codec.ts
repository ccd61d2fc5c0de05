import type { ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType } from './types.ts'

/**
 * A configuration change as bytes: version, transition, count, then (type, id) pairs, then the
 * context up to the end. Numbers are little-endian base 128.
 */

const VERSION = 1
const TRANSITIONS: readonly ConfChangeTransition[] = ['auto', 'jointImplicit', 'jointExplicit']
const TYPES: readonly ConfChangeType[] = ['addNode', 'removeNode', 'updateNode', 'addLearner']
const NO_BYTES = new Uint8Array(0)

/** The change that leaves a joint configuration; it encodes to no bytes at all. */
export const LEAVE_JOINT: ConfChange = Object.freeze({
  transition: 'auto',
  changes: Object.freeze([]),
  context: NO_BYTES,
})

/**
 * Leaving a joint configuration by itself must never be refused for its size (the quota counts
 * bytes), so that change has the empty encoding.
 */
export function encodeConfChange(change: ConfChange): Uint8Array {
  const { transition, changes, context } = change
  if (transition === 'auto' && changes.length === 0 && context.length === 0) return NO_BYTES
  const bytes: number[] = [VERSION, TRANSITIONS.indexOf(transition)]
  writeNumber(bytes, changes.length)
  for (const { type, id } of changes) {
    bytes.push(TYPES.indexOf(type))
    writeNumber(bytes, id)
  }
  const encoded = new Uint8Array(bytes.length + context.length)
  encoded.set(bytes)
  encoded.set(context, bytes.length)
  return encoded
}

/** The change that was encoded, or null if the bytes are not one. */
export function decodeConfChange(bytes: Uint8Array): ConfChange | null {
  if (bytes.length === 0) return LEAVE_JOINT
  const cursor = { bytes, at: 2 }
  const transition = TRANSITIONS[bytes[1] ?? TRANSITIONS.length]
  if (bytes[0] !== VERSION || transition === undefined) return null
  const count = readNumber(cursor)
  // Each change takes at least two bytes, which bounds what a false count can make us allocate.
  if (count === null || count * 2 > bytes.length - cursor.at) return null
  const changes: ConfChangeSingle[] = []
  for (let i = 0; i < count; i++) {
    const type = TYPES[bytes[cursor.at++] ?? TYPES.length]
    const id = readNumber(cursor)
    if (type === undefined || id === null) return null
    changes.push({ type, id })
  }
  return { transition, changes, context: bytes.slice(cursor.at) }
}

function writeNumber(bytes: number[], value: number): void {
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
}

function readNumber(cursor: { readonly bytes: Uint8Array; at: number }): number | null {
  let value = 0
  let scale = 1
  for (;;) {
    const byte = cursor.bytes[cursor.at++]
    if (byte === undefined) return null
    value += (byte & 0x7f) * scale
    if (!Number.isSafeInteger(value)) return null
    if (byte < 0x80) return value
    scale *= 0x80
  }
}
