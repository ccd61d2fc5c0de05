import { TextDecoder } from 'node:util'
import { ColmenaError } from '../index.ts'
import type { Call } from './routes.ts'

export interface BodyLimits {
  readonly bodyBytesMax: number
  readonly bodiesBytesMax: number
}

/** The text of a request, which counts as held until this is disposed of. */
export interface Body extends Disposable {
  readonly text: string
}

/**
 * Reads the bodies of requests. One is bounded, so that nobody fills the memory, and all of them
 * together are, so that many can't either.
 */
export class Bodies {
  readonly #limits: BodyLimits
  /** At most `bodiesBytesMax`, and one chunk for each that is just found to be too much. */
  #heldBytes = 0

  constructor(limits: BodyLimits) {
    this.#limits = limits
  }

  /** @throws ColmenaError ERR_TOO_LARGE, ERR_BUSY, ERR_INVALID_ARGUMENT, ERR_ABORTED */
  async read({ request, body }: Pick<Call, 'request' | 'body'>): Promise<Body> {
    // Said beforehand, it is refused before anything is read.
    this.#checkSize(Number(request.headers.get('content-length') ?? 0))
    let sizeBytes = 0
    const release = (): void => {
      this.#heldBytes -= sizeBytes
      sizeBytes = 0
    }
    try {
      const decoder = new TextDecoder('utf-8', { fatal: true })
      let text = ''
      for await (const chunk of readChunks(body)) {
        sizeBytes += chunk.length
        this.#heldBytes += chunk.length
        this.#checkSize(sizeBytes)
        this.#checkRoom()
        text += decodeChunk(decoder, chunk)
      }
      text += decodeChunk(decoder)
      return { text, [Symbol.dispose]: release }
    } catch (error) {
      release()
      throw error
    }
  }

  #checkSize(sizeBytes: number): void {
    if (sizeBytes <= this.#limits.bodyBytesMax) return
    throw new ColmenaError(
      'ERR_TOO_LARGE',
      `the body has more than ${this.#limits.bodyBytesMax} bytes (bodyBytesMax): send it in parts`,
    )
  }

  #checkRoom(): void {
    if (this.#heldBytes <= this.#limits.bodiesBytesMax) return
    throw new ColmenaError(
      'ERR_BUSY',
      `requests of ${this.#limits.bodiesBytesMax} bytes (bodiesBytesMax) are under way: try again`,
      { retryable: true },
    )
  }
}

async function* readChunks(body: Call['body']): AsyncGenerator<Uint8Array> {
  try {
    yield* body
  } catch (cause) {
    throw new ColmenaError('ERR_ABORTED', 'the client sent only a part of its request', { cause })
  }
}

function decodeChunk(decoder: TextDecoder, chunk?: Uint8Array): string {
  try {
    return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true })
  } catch {
    throw new ColmenaError('ERR_INVALID_ARGUMENT', 'the body is no text in UTF-8')
  }
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const reason =
      text === ''
        ? 'is empty (if the application has a body parser, mount this before it)'
        : `is no JSON: ${(cause as Error).message}`
    throw new ColmenaError('ERR_INVALID_ARGUMENT', `the body ${reason}`, { cause })
  }
}
