import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { damaged } from './damage.ts'
import { deriveKey, type Key, type Keys } from './keys.ts'
import type { Objects, PutCall, TargetCall } from './objects.ts'
import { readWhole } from './streams.ts'

/** Newer ones are refused: what they mean is not known here. */
const FORMAT = 1
const BYTES_MAX = 16 * 1024 * 1024
const UNSEALED =
  'is not sealed, and keys were given: anybody could have put it. What was begun without keys ' +
  'goes on without them; for an encrypted backup name another target, or prefix'

/**
 * A document as it is put: for people to read, with a digest of what it says. Where the backup is
 * encrypted the digest takes the key, so that nobody else can make one.
 */
interface Sealed {
  readonly format: number
  readonly keyId: string | null
  readonly digest: string
  readonly content: unknown
}

export async function putDocument(
  target: Objects,
  keys: Keys,
  name: string,
  content: object,
  call: PutCall = {},
): Promise<boolean> {
  const { current } = keys
  const sealed: Sealed = {
    format: FORMAT,
    keyId: current?.id ?? null,
    digest: digestOf(name, content, current),
    content,
  }
  return target.put(name, encode(sealed), call)
}

function encode({ format, keyId, digest, content }: { [Field in keyof Sealed]?: unknown }): Buffer {
  return Buffer.from(`${JSON.stringify({ format, keyId, digest, content }, null, 2)}\n`)
}

/** A document as it was put, and by whose key. */
export interface Opened<T> {
  readonly content: T
  /** null: it is not encrypted. */
  readonly keyId: string | null
}

/** @throws ColmenaError ERR_NOT_FOUND, ERR_BACKUP_DAMAGED, ERR_TARGET */
export async function getDocument<T extends object>(
  target: Objects,
  keys: Keys,
  name: string,
  call: TargetCall = {},
): Promise<Opened<T>> {
  const bytes = await readWhole(target.get(name, call), BYTES_MAX, () =>
    damaged(target, name, `has more than ${BYTES_MAX} bytes`),
  )
  const { format, keyId, digest, content } = parse(target, name, bytes)
  if (typeof format === 'number' && format > FORMAT) {
    throw damaged(target, name, `is of format ${format}, and this colmena reads up to ${FORMAT}`)
  }
  const key = keyId === null ? null : keys.find(String(keyId))
  if (keyId !== null && key === null) {
    throw damaged(target, name, `was sealed with the key '${keyId}', which was not given`)
  }
  if (keyId === null && keys.current !== null) {
    throw damaged(target, name, UNSEALED)
  }
  const isRight =
    typeof content === 'object' && content !== null && isSame(digestOf(name, content, key), digest)
  // What stands around the content is in no digest, but there is one way alone to write it.
  const isWhole = format === FORMAT && encode({ format, keyId, digest, content }).equals(bytes)
  if (!isRight || !isWhole) throw damaged(target, name, 'is not what was put there')
  return { content: content as T, keyId: key?.id ?? null }
}

function parse(
  target: Objects,
  name: string,
  bytes: Uint8Array,
): { readonly [Field in keyof Sealed]?: unknown } {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    if (typeof value === 'object' && value !== null && 'keyId' in value) return value
  } catch {
    // Said below.
  }
  throw damaged(target, name, 'is no document of a backup')
}

/** The name belongs to it: no document passes for another one. */
function digestOf(name: string, content: object, key: Key | null): string {
  const text = `${name}\n${JSON.stringify(content)}`
  if (key === null) return createHash('sha256').update(text).digest('hex')
  const own = deriveKey(key, Buffer.alloc(0), 'colmena-backup document')
  return createHmac('sha256', own).update(text).digest('hex')
}

function isSame(a: string, b: unknown): boolean {
  if (typeof b !== 'string') return false
  // Of a text that is none any more, characters are fewer than bytes.
  const [own, other] = [Buffer.from(a), Buffer.from(b)]
  return own.length === other.length && timingSafeEqual(own, other)
}
