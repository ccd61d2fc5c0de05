/** What both ends of a connection between machines share: how it is secured, and its frames. */
import { constants, scrypt } from 'node:crypto'
import type { SecureContextOptions } from 'node:tls'
import { promisify } from 'node:util'
import { deserialize, serialize } from 'node:v8'
import { ColmenaError } from '../index.ts'
import type { FromNode } from './node-messages.ts'

/** Beside what a node tells: since when its machine has the page, null if another has it. */
export type FromMachine = FromNode | { readonly kind: 'page'; readonly since: number | null }

/** So often a machine is heard at least. */
export const BEAT_MS = 250

/** Each side proves that it has the key, and nobody else reads what they say. */
export const LINK_OPTIONS: SecureContextOptions = {
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
  secureOptions: constants.SSL_OP_NO_TICKET,
}

const KEY_BYTES = 32
const HEAD_BYTES = 4
const FRAME_BYTES_MAX = 4_194_304

/** Another one than the nodes themselves have of the same secret. */
export async function deriveKey(secret: string | readonly string[] | undefined): Promise<Buffer> {
  const [newest = ''] = typeof secret === 'string' ? [secret] : (secret ?? [])
  if (newest !== '') {
    const derive = promisify(scrypt) as (...args: [string, string, number]) => Promise<Buffer>
    return derive(newest, 'colmena demo machine 1', KEY_BYTES)
  }
  throw new ColmenaError(
    'ERR_INVALID_OPTION',
    'COLMENA_SECRET is missing: without it whoever reaches the private network could end the ' +
      'machines. Set it once for all of them, with at least 16 bytes of chance: ' +
      'fly secrets set COLMENA_SECRET="$(openssl rand -base64 32)"',
  )
}

export function encodeFrame(message: unknown): Buffer {
  const body = serialize(message)
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUInt32LE(body.length)
  return Buffer.concat([head, body])
}

/** Puts messages together from what arrives. */
export class FrameReader {
  #bytes: Buffer = Buffer.alloc(0)

  /** @throws where what arrives is no message. */
  read(chunk: Buffer): unknown[] {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    const messages: unknown[] = []
    while (this.#bytes.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + this.#bytes.readUInt32LE()
      if (end > FRAME_BYTES_MAX)
        throw new Error(`a frame of ${end} bytes, beyond ${FRAME_BYTES_MAX}`)
      if (this.#bytes.length < end) break
      messages.push(deserialize(this.#bytes.subarray(HEAD_BYTES, end)))
      this.#bytes = this.#bytes.subarray(end)
    }
    return messages
  }
}
