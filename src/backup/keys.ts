import { hkdfSync } from 'node:crypto'
import { invalidOption } from './option-checks.ts'

/** What a backup is sealed with. */
export interface EncryptionOptions {
  /** Names the key, 1 to 64 of `[a-zA-Z0-9._-]`: it stands beside all that is sealed with it. */
  readonly keyId: string
  /** 32 bytes, or 64 hexadecimal digits. Without it nobody can restore: keep it elsewhere too. */
  readonly key: Uint8Array | string
  /** Keys of earlier objects by their ids, so that what they sealed can still be read. */
  readonly oldKeys?: Readonly<Record<string, Uint8Array | string>> | undefined
}

export interface Key {
  readonly id: string
  readonly bytes: Uint8Array
}

const KEY_BYTES = 32
const ID = /^[a-zA-Z0-9._-]{1,64}$/

/** The keys that a backup has: none where it is not encrypted. */
export class Keys {
  /** What is put from now on is sealed with this one; null: with none. */
  readonly current: Key | null
  readonly #all = new Map<string, Key>()

  /** @throws ColmenaError ERR_INVALID_OPTION */
  constructor(options: EncryptionOptions | undefined) {
    if (options === undefined) {
      this.current = null
      return
    }
    if (typeof options !== 'object' || options === null) {
      throw invalidOption('encryption is an object of keyId and key')
    }
    for (const [id, key] of Object.entries(options.oldKeys ?? {})) this.#add(id, key)
    this.current = this.#add(options.keyId, options.key)
  }

  /** Whether there are others than the current one. */
  get hasOld(): boolean {
    return this.#all.size > 1
  }

  /** Null where there is none of that id. */
  find(id: string): Key | null {
    return this.#all.get(id) ?? null
  }

  #add(id: unknown, key: unknown): Key {
    if (typeof id !== 'string' || !ID.test(id)) {
      throw invalidOption('a keyId has 1 to 64 characters of [a-zA-Z0-9._-]')
    }
    const bytes = typeof key === 'string' ? Buffer.from(key, 'hex') : key
    const isWhole = bytes instanceof Uint8Array && bytes.length === KEY_BYTES
    if (!isWhole || (typeof key === 'string' && key.length !== 2 * KEY_BYTES)) {
      throw invalidOption(`the key '${id}' must be 32 bytes, or 64 hexadecimal digits`)
    }
    const made = { id, bytes: new Uint8Array(bytes) }
    this.#all.set(id, made)
    return made
  }
}

/** A key for one purpose alone. */
export function deriveKey({ bytes }: Key, salt: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', bytes, salt, purpose, KEY_BYTES))
}
