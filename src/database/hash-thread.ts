import { type MessagePort, parentPort } from 'node:worker_threads'
import { assert } from '../base/assert.ts'
import { type ConnectionSettings, hashContent, Reader } from '../sqlite/sqlite.ts'
import { databasePath } from './generation.ts'

/** What this thread is told once: files that all hold what they hold at one index. */
export interface HashSource {
  readonly index: number
  readonly generationDirectory: string
  /** Of each user's database, by the key that members call it by. */
  readonly databases: ReadonlyMap<
    string,
    { readonly name: string; readonly settings: ConnectionSettings }
  >
}

export type HashAnswer =
  /** Whatever is applied from here on is not seen by the hash. */
  | { readonly kind: 'pinned' }
  | {
      readonly kind: 'hashed'
      readonly hashes: ReadonlyMap<string, string> | null
      readonly error: string | null
    }

/** Hashes databases as they are when it says that they are pinned, then ends. */
function hashAll(port: MessagePort, { generationDirectory, databases }: HashSource): void {
  const say = (answer: HashAnswer): void => port.postMessage(answer)
  const readers = new Map<string, Reader>()
  try {
    for (const [key, { name, settings }] of databases) {
      const reader = new Reader(databasePath(generationDirectory, name), settings)
      readers.set(key, reader)
      reader.pin()
    }
    say({ kind: 'pinned' })
    const hashes = new Map<string, string>()
    for (const [key, reader] of readers) {
      hashes.set(key, hashContent(reader))
      // A WAL can start anew once nobody reads its old pages.
      reader.close()
      readers.delete(key)
    }
    say({ kind: 'hashed', hashes, error: null })
  } catch (error) {
    say({ kind: 'hashed', hashes: null, error: String(error) })
  } finally {
    for (const reader of readers.values()) reader.close()
  }
}

const port = parentPort
assert(port !== null, 'hashes are made on a worker thread')
port.once('message', (source: HashSource) => {
  hashAll(port, source)
  port.close()
})
