import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ColmenaError, type ColmenaNode } from '../index.ts'
import type { Call, Route } from './routes.ts'
import { type Source, streamBody } from './streamed-body.ts'

/** Copies on this disk at once; each has the size of its database. */
const EXPORTS_MAX = 2
const CHUNK_BYTES = 65_536

/** Whole databases, each as a file of one moment, made when it is asked for and gone when sent. */
export class Exports {
  readonly #node: ColmenaNode
  readonly #idleTimeoutMs: number
  #count = 0

  constructor(node: ColmenaNode, { idleTimeoutMs }: { readonly idleTimeoutMs: number }) {
    this.#node = node
    this.#idleTimeoutMs = idleTimeoutMs
  }

  get routes(): Route[] {
    const answer = (call: Call): Promise<Response> => this.#send(call)
    return [{ method: 'GET', path: '/export/:database', right: 'read', answer }]
  }

  async #send(call: Call): Promise<Response> {
    const name = call.param('database')
    const database = this.#node.database(name)
    if (!(await this.#node.databases({ signal: call.signal })).includes(name)) {
      throw new ColmenaError('ERR_NOT_FOUND', `there is no database '${name}' on this node`)
    }
    const copy = await this.#makeRoom()
    try {
      const path = join(copy.folder, `${name}.db`)
      const { index, sizeBytes } = await database.copyTo(path, { signal: call.signal })
      const headers = {
        'content-type': 'application/vnd.sqlite3',
        'content-length': String(sizeBytes),
        'content-disposition': `attachment; filename="${name}.db"`,
        'x-colmena-index': String(index),
      }
      const source = await openSource(path, copy)
      return new Response(streamBody(source, call, this.#idleTimeoutMs), { headers })
    } catch (error) {
      await copy[Symbol.asyncDispose]()
      throw error
    }
  }

  async #makeRoom(): Promise<Copy> {
    if (this.#count >= EXPORTS_MAX) {
      throw new ColmenaError('ERR_BUSY', `${EXPORTS_MAX} exports are under way: try again later`, {
        retryable: true,
      })
    }
    this.#count += 1
    let folder: string | undefined
    let removal: Promise<void> | undefined
    const remove = async (): Promise<void> => {
      this.#count -= 1
      if (folder !== undefined) await rm(folder, { recursive: true, force: true })
    }
    const dispose = (): Promise<void> => (removal ??= remove())
    try {
      folder = await mkdtemp(join(tmpdir(), 'colmena-export-'))
      return { folder, [Symbol.asyncDispose]: dispose }
    } catch (cause) {
      await dispose()
      throw new ColmenaError('ERR_FAILED', `no folder in ${tmpdir()} for the copy`, { cause })
    }
  }
}

/** A folder for one copy, which goes with everything in it. */
interface Copy extends AsyncDisposable {
  readonly folder: string
}

/** Whatever ends it, the copy is gone then. */
async function openSource(path: string, copy: Copy): Promise<Source> {
  const file = await open(path)
  return {
    next: async () => {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES))
      return bytesRead > 0 ? buffer.subarray(0, bytesRead) : undefined
    },
    end: async () => {
      await file.close()
      await copy[Symbol.asyncDispose]()
    },
  }
}
