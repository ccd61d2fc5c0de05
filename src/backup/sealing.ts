import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { damaged } from './damage.ts'
import { deriveKey, type Key, type Keys } from './keys.ts'
import type { Objects } from './objects.ts'
import type { Bytes } from './streams.ts'

/**
 * A sealed object: `CLMBAK`, version, whether it is encrypted, the length of the key's id and the
 * id, 32 random bytes; then frames of at most {@link FRAME_BYTES}, each behind its length, whose
 * highest bit marks the last; then the SHA-256 of the object's name and of all that came before.
 *
 * An encrypted frame is AES-256-GCM under a key that was derived for this object alone, from the
 * random bytes and its name, with the frame's number and whether it is the last as its nonce: so
 * frames can't be cut off, put elsewhere, or taken from another object.
 */
const MAGIC = Buffer.from('CLMBAK', 'latin1')
const VERSION = 1
const SALT_BYTES = 32
const FRAME_BYTES = 256 * 1024
const TAG_BYTES = 16
const NONCE_BYTES = 12
const LAST = 0x8000_0000
const HASH_BYTES = 32
const CIPHER = 'aes-256-gcm'

/** @param key null: it is only made safe against damage */
export async function* seal(name: string, source: Bytes, key: Key | null): Bytes {
  const id = Buffer.from(key?.id ?? '', 'utf8')
  const salt = randomBytes(SALT_BYTES)
  const head = Buffer.concat([MAGIC, Buffer.from([VERSION, key === null ? 0 : 1, id.length]), id])
  const hash = createHash('sha256').update(name)
  const frames = key === null ? null : new Frames(deriveKey(key, salt, purposeOf(name)))
  let number = 0
  const framed = (content: Uint8Array, isLast: boolean): Uint8Array => {
    const body = frames === null ? content : frames.seal(content, number, isLast)
    number += 1
    const length = Buffer.alloc(4)
    length.writeUInt32LE((body.length | (isLast ? LAST : 0)) >>> 0)
    const frame = Buffer.concat([length, body])
    hash.update(frame)
    return frame
  }
  hash.update(head).update(salt)
  yield Buffer.concat([head, salt])
  let held: Uint8Array = Buffer.alloc(0)
  for await (const piece of source) {
    held = held.length === 0 ? piece : Buffer.concat([held, piece])
    while (held.length > FRAME_BYTES) {
      yield framed(held.subarray(0, FRAME_BYTES), false)
      held = held.subarray(FRAME_BYTES)
    }
  }
  yield framed(held, true)
  yield hash.digest()
}

/**
 * What was sealed. Pieces come as they are read: only once it ends without an error is all of it
 * known to be what was sealed under that name.
 *
 * @throws ColmenaError ERR_BACKUP_DAMAGED
 */
export async function* unseal(
  target: Pick<Objects, 'label'>,
  name: string,
  source: Bytes,
  keys: Keys,
): Bytes {
  const refuse = (what: string, cause?: unknown) => damaged(target, name, what, cause)
  const reader = new Reader(source, () => refuse('ends in the midst: it was cut short'))
  try {
    const hash = createHash('sha256').update(name)
    const start = await reader.take(MAGIC.length + 3)
    if (!MAGIC.equals(start.subarray(0, MAGIC.length))) throw refuse('is no sealed object')
    const [version, isEncrypted = 0, idBytes = 0] = start.subarray(MAGIC.length)
    if (version !== VERSION) throw refuse(`is of version ${version}, which is not known here`)
    const id = await reader.take(idBytes)
    const salt = await reader.take(SALT_BYTES)
    hash.update(start).update(id).update(salt)
    const frames = framesOf(Buffer.from(id).toString('utf8'), isEncrypted === 1, salt)
    const overheadBytes = frames === null ? 0 : TAG_BYTES
    for (let number = 0, isLast = false; !isLast; number += 1) {
      const length = Buffer.from(await reader.take(4))
      const word = length.readUInt32LE()
      isLast = (word & LAST) !== 0
      const bytes = word & ~LAST
      if (bytes > FRAME_BYTES + overheadBytes || bytes < overheadBytes) {
        throw refuse('is damaged: it has a frame of no possible length')
      }
      const body = await reader.take(bytes)
      hash.update(length).update(body)
      yield frames === null ? body : opened(frames, body, number, isLast)
    }
    const wanted = Buffer.from(await reader.take(HASH_BYTES))
    if (!wanted.equals(hash.digest())) throw refuse('is damaged: its checksum is another one')
    if (await reader.hasMore()) throw refuse('is damaged: it goes on behind its end')
  } finally {
    await reader.close()
  }

  function framesOf(id: string, isEncrypted: boolean, salt: Uint8Array): Frames | null {
    if (!isEncrypted) {
      if (keys.current === null) return null
      throw refuse('is not encrypted, and keys were given: anybody could have put it')
    }
    const key = keys.find(id)
    if (key === null) throw refuse(`was sealed with the key '${id}', which was not given`)
    return new Frames(deriveKey(key, salt, purposeOf(name)))
  }

  function opened(frames: Frames, body: Uint8Array, number: number, isLast: boolean): Uint8Array {
    try {
      return frames.open(body, number, isLast)
    } catch (error) {
      throw refuse('is damaged, or its key is another one of that id', error)
    }
  }
}

class Frames {
  readonly #key: Uint8Array

  constructor(key: Uint8Array) {
    this.#key = key
  }

  seal(content: Uint8Array, number: number, isLast: boolean): Uint8Array {
    const cipher = createCipheriv(CIPHER, this.#key, nonceOf(number, isLast))
    return Buffer.concat([cipher.update(content), cipher.final(), cipher.getAuthTag()])
  }

  open(body: Uint8Array, number: number, isLast: boolean): Uint8Array {
    const decipher = createDecipheriv(CIPHER, this.#key, nonceOf(number, isLast), {
      authTagLength: TAG_BYTES,
    })
    const end = body.length - TAG_BYTES
    decipher.setAuthTag(body.subarray(end))
    return Buffer.concat([decipher.update(body.subarray(0, end)), decipher.final()])
  }
}

function nonceOf(number: number, isLast: boolean): Uint8Array {
  const nonce = Buffer.alloc(NONCE_BYTES)
  nonce.writeUInt32LE(number)
  nonce[NONCE_BYTES - 1] = isLast ? 1 : 0
  return nonce
}

function purposeOf(name: string): string {
  return `colmena-backup object ${name}`
}

/** Takes from a source so many bytes at a time. */
class Reader {
  readonly #source: AsyncIterator<Uint8Array>
  readonly #refuse: () => Error
  #held: Uint8Array = Buffer.alloc(0)

  constructor(source: Bytes, refuse: () => Error) {
    this.#source = source[Symbol.asyncIterator]()
    this.#refuse = refuse
  }

  async take(bytes: number): Promise<Uint8Array> {
    if (this.#held.length < bytes) await this.#fill(bytes)
    const taken = this.#held.subarray(0, bytes)
    this.#held = this.#held.subarray(bytes)
    return taken
  }

  async hasMore(): Promise<boolean> {
    while (this.#held.length === 0) {
      const { done, value } = await this.#source.next()
      if (done === true) return false
      this.#held = value
    }
    return true
  }

  async close(): Promise<void> {
    await this.#source.return?.()
  }

  async #fill(bytes: number): Promise<void> {
    const pieces = [this.#held]
    for (let held = this.#held.length; held < bytes; ) {
      const { done, value } = await this.#source.next()
      if (done === true) throw this.#refuse()
      pieces.push(value)
      held += value.length
    }
    this.#held = Buffer.concat(pieces)
  }
}
