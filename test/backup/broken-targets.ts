/** Targets that break one promise each, by the case of the suite that must tell. */
import type { BackupObject, BackupTarget, PutCall, TargetCall } from '../../src/backup/backup.ts'
import { ColmenaError } from '../../src/index.ts'
import { MemoryTarget } from './memory-target.ts'

type Content = Uint8Array | AsyncIterable<Uint8Array>

/** What of a target that keeps its promises a broken one does otherwise. */
interface Otherwise {
  readonly list?: (good: MemoryTarget, prefix: string, call?: TargetCall) => List
  readonly get?: (good: MemoryTarget, name: string, call?: TargetCall) => AsyncIterable<Uint8Array>
  readonly put?: (
    good: MemoryTarget,
    name: string,
    content: Content,
    call?: PutCall,
  ) => Promise<boolean>
  readonly delete?: (good: MemoryTarget, name: string, call?: TargetCall) => Promise<void>
  readonly close?: (good: MemoryTarget) => Promise<void>
}

type List = AsyncIterable<BackupObject>

class BrokenTarget extends MemoryTarget {
  readonly #good: MemoryTarget
  readonly #otherwise: Otherwise

  constructor(otherwise: Otherwise) {
    super()
    this.#good = new MemoryTarget(this.held)
    this.#otherwise = otherwise
  }

  override list(prefix: string, call?: TargetCall): List {
    return this.#otherwise.list?.(this.#good, prefix, call) ?? this.#good.list(prefix, call)
  }

  override get(name: string, call?: TargetCall): AsyncIterable<Uint8Array> {
    return this.#otherwise.get?.(this.#good, name, call) ?? this.#good.get(name, call)
  }

  override async put(name: string, content: Content, call?: PutCall): Promise<boolean> {
    const broken = this.#otherwise.put?.(this.#good, name, content, call)
    return await (broken ?? this.#good.put(name, content, call))
  }

  override async delete(name: string, call?: TargetCall): Promise<void> {
    await (this.#otherwise.delete?.(this.#good, name, call) ?? this.#good.delete(name, call))
  }

  override async close(): Promise<void> {
    await (this.#otherwise.close?.(this.#good) ?? this.#good.close())
  }
}

async function gather(content: Content): Promise<Uint8Array> {
  if (content instanceof Uint8Array) return content
  const pieces: Uint8Array[] = []
  for await (const piece of content) pieces.push(piece.slice())
  return Buffer.concat(pieces)
}

/** What a list of the good one says, in another way. */
function relisted(change: (objects: BackupObject[]) => readonly BackupObject[]): Otherwise {
  return {
    async *list(good, prefix, call) {
      const objects: BackupObject[] = []
      for await (const object of good.list(prefix, call)) objects.push(object)
      yield* change(objects)
    },
  }
}

const SHORT = { signal: undefined }

export const BROKEN: readonly (readonly [name: string, breaks: string, otherwise: Otherwise])[] = [
  [
    'an object comes back as it was put',
    'one that ends at an empty piece',
    {
      put: async (good, name, content, call) => {
        const pieces: Uint8Array[] = []
        if (content instanceof Uint8Array) return await good.put(name, content, call)
        for await (const piece of content) {
          if (piece.length === 0) break
          pieces.push(piece)
        }
        return await good.put(name, Buffer.concat(pieces), call)
      },
    },
  ],
  [
    'an object may be empty',
    'one that puts nothing where there is nothing to put',
    {
      put: async (good, name, content, call) => {
        const bytes = await gather(content)
        return bytes.length === 0 || (await good.put(name, bytes, call))
      },
    },
  ],
  [
    'an object of 20 MiB goes in and comes out in pieces',
    'one that gives all at once',
    {
      async *get(good, name, call) {
        yield await gather(good.get(name, call))
      },
    },
  ],
  [
    'an object of 20 MiB goes in and comes out in pieces',
    'one that ends early, without an error',
    {
      async *get(good, name, call) {
        let leftBytes = 5_000_000
        for await (const piece of good.get(name, call)) {
          yield piece
          leftBytes -= piece.length
          if (leftBytes < 0) return
        }
      },
    },
  ],
  [
    'a piece may be used again once the next one is asked for',
    'one that keeps the pieces themselves',
    {
      put: async (good, name, content, call) => {
        if (content instanceof Uint8Array) return await good.put(name, content, call)
        const pieces: Uint8Array[] = []
        for await (const piece of content) pieces.push(piece)
        return await good.put(name, Buffer.concat(pieces), call)
      },
    },
  ],
  [
    'pieces are asked for once, one after the other',
    'one that asks for two pieces at once',
    {
      put: async (good, name, content, call) => {
        if (content instanceof Uint8Array) return await good.put(name, content, call)
        const source = content[Symbol.asyncIterator]()
        const both = await Promise.all([source.next(), source.next()])
        const begun = both.flatMap(({ value }) => (value instanceof Uint8Array ? [value] : []))
        const rest = await gather({ [Symbol.asyncIterator]: () => source })
        return await good.put(name, Buffer.concat([...begun, rest]), call)
      },
    },
  ],
  [
    'a put replaces the whole object',
    'one that writes over the beginning',
    {
      put: async (good, name, content, call) => {
        const bytes = await gather(content)
        const before = call?.ifAbsent === true ? undefined : good.held.get(name)?.bytes
        const rest = before?.subarray(bytes.length) ?? new Uint8Array(0)
        return await good.put(name, Buffer.concat([bytes, rest]), call)
      },
    },
  ],
  [
    'who reads while an object is replaced sees one of both, whole',
    'one that reads what is there by then',
    {
      async *get(good, name, call) {
        let at = 0
        for await (const piece of good.get(name, call)) {
          const now = good.held.get(name)?.bytes.subarray(at, at + piece.length)
          yield now ?? piece
          at += piece.length
          await new Promise(setImmediate)
        }
      },
    },
  ],
  [
    'a content that throws leaves nothing, and is thrown on',
    'one that keeps what came before',
    {
      put: async (good, name, content, call) => {
        if (content instanceof Uint8Array) return await good.put(name, content, call)
        const pieces: Uint8Array[] = []
        try {
          for await (const piece of content) pieces.push(piece.slice())
        } catch (error) {
          await good.put(name, Buffer.concat(pieces), call)
          throw error
        }
        return await good.put(name, Buffer.concat(pieces), call)
      },
    },
  ],
  [
    'a content that throws leaves nothing, and is thrown on',
    'one that throws an error of its own',
    {
      put: async (good, name, content, call) => {
        const put = good.put(name, content, call)
        return await put.catch((cause) => {
          if (cause instanceof ColmenaError) throw cause
          throw new ColmenaError('ERR_TARGET', 'the content failed', { cause })
        })
      },
    },
  ],
  [
    'a content that throws leaves the object that was there',
    'one that makes room first',
    {
      put: async (good, name, content, call) => {
        if (call?.ifAbsent !== true) good.held.delete(name)
        return await good.put(name, content, call)
      },
    },
  ],
  [
    'ifAbsent puts only where there is none',
    'one that knows no ifAbsent',
    { put: async (good, name, content) => await good.put(name, content) },
  ],
  [
    'of those who put ifAbsent at once, exactly one is told that it did',
    'one that looks first and puts then',
    {
      put: async (good, name, content, call) => {
        if (call?.ifAbsent === true && good.held.has(name)) return false
        return await good.put(name, content, { signal: call?.signal })
      },
    },
  ],
  [
    'an object that is not there is ERR_NOT_FOUND',
    'one that gives nothing instead',
    {
      async *get(good, name, call) {
        if (good.held.has(name) || good.held.size === 0) yield* good.get(name, call)
      },
    },
  ],
  [
    'delete removes one object, and is content where there is none',
    'one that is not content',
    {
      delete: async (good, name, call) => {
        if (!good.held.has(name)) throw new ColmenaError('ERR_NOT_FOUND', `there is no ${name}`)
        await good.delete(name, call)
      },
    },
  ],
  [
    'delete removes one object, and is content where there is none',
    'one that removes what begins so',
    {
      delete: async (good, name, call) => {
        const folder = name.slice(0, name.lastIndexOf('/') + 1)
        for (const held of good.held.keys()) {
          if (held.startsWith(folder)) await good.delete(held, call)
        }
      },
    },
  ],
  [
    'a list is in the order of the characters of names',
    'one that lists folder by folder',
    relisted((objects) =>
      objects.toSorted((left, right) => (left.name.split('/') < right.name.split('/') ? -1 : 1)),
    ),
  ],
  [
    'a list has what begins with the prefix, and nothing else',
    'one that takes a prefix for a folder',
    {
      async *list(good, prefix, call) {
        const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
        yield* good.list(folder, call)
      },
    },
  ],
  [
    'a list tells size and time of what was put',
    'one that knows seconds only',
    relisted((objects) =>
      objects.map((object) => ({ ...object, modifiedMs: Math.round(object.modifiedMs / 1_000) })),
    ),
  ],
  [
    'a list tells size and time of what was put',
    'one that does not know sizes',
    relisted((objects) => objects.map((object) => ({ ...object, sizeBytes: 0 }))),
  ],
  [
    'a list has what was put before it, and not what was deleted',
    'one whose lists come late',
    {
      list: (() => {
        let listed: BackupObject[] = []
        return async function* (good, prefix, call) {
          const late = listed
          listed = []
          for await (const object of good.list(prefix, call)) listed.push(object)
          yield* late
        }
      })(),
    },
  ],
  [
    'a list has more than 1,000 objects',
    'one that lists one page',
    relisted((objects) => objects.slice(0, 1_000)),
  ],
  [
    'names may be as long and as odd as they may be',
    'one whose names are short',
    {
      put: async (good, name, content, call) => await good.put(name.slice(0, 255), content, call),
    },
  ],
  [
    'what is no name is refused',
    'one that takes any name',
    {
      delete: async (good, name) => {
        good.held.delete(name)
      },
    },
  ],
  [
    'calls run at the same time',
    'one that does one thing at a time',
    {
      list: (() => {
        let isListing = false
        return async function* (good, prefix, call) {
          if (isListing) throw new ColmenaError('ERR_TARGET', 'there is a list under way')
          isListing = true
          await new Promise(setImmediate)
          yield* good.list(prefix, call)
          isListing = false
        }
      })(),
    },
  ],
  [
    'folders come and go with their objects',
    'one that removes a folder in which an object appears',
    {
      delete: async (good, name, call) => {
        await new Promise(setImmediate)
        if (name.includes('/come/') && good.held.size > 3) {
          throw new ColmenaError('ERR_TARGET', 'the folder is not empty')
        }
        await good.delete(name, call)
      },
    },
  ],
  [
    'a call whose signal is aborted does nothing',
    'one whose delete knows no signal',
    { delete: async (good, name) => await good.delete(name) },
  ],
  [
    'a put ends by its signal while it waits for a piece',
    'one that puts what it has by then',
    {
      put: async (good, name, content, call) => {
        const pieces: Uint8Array[] = []
        if (content instanceof Uint8Array) return await good.put(name, content, call)
        const source = content[Symbol.asyncIterator]()
        const ended = new Promise<undefined>((resolve) => {
          call?.signal?.addEventListener('abort', () => resolve(undefined))
        })
        for (;;) {
          const next = await Promise.race([source.next(), ended])
          if (next === undefined || next.done === true) break
          pieces.push(next.value)
        }
        return await good.put(name, Buffer.concat(pieces), SHORT)
      },
    },
  ],
  [
    'get and list end by their signal between two pieces',
    'one whose get goes on',
    { get: (good, name) => good.get(name) },
  ],
  [
    'get and list end by their signal between two pieces',
    'one whose list goes on',
    { list: (good, prefix) => good.list(prefix) },
  ],
  [
    'a get that is given up holds nothing up',
    'one that can be given up a few times',
    {
      get: (() => {
        let open = 0
        return async function* (good, name, call) {
          if (open === 10) throw new ColmenaError('ERR_TARGET', 'too many are open')
          open += 1
          yield* good.get(name, call)
          open -= 1
        }
      })(),
    },
  ],
  [
    'close ends what is under way and what comes after, and may come twice',
    'one that takes its end for another',
    (() => {
      const closing = new AbortController()
      return {
        put: async (good, name, content) => {
          return await good.put(name, content, { signal: closing.signal })
        },
        close: async (good) => {
          closing.abort()
          await good.close()
        },
      }
    })(),
  ],
  [
    'close ends what is under way and what comes after, and may come twice',
    'one that can be closed once',
    (() => {
      let isClosed = false
      return {
        close: async (good) => {
          if (isClosed) throw new ColmenaError('ERR_CLOSED', 'it was closed')
          isClosed = true
          await good.close()
        },
      }
    })(),
  ],
]

export function makeBroken(otherwise: Otherwise): BackupTarget {
  return new BrokenTarget(otherwise)
}
