import { ColmenaError, type ErrorCode } from '../base/errors.ts'
import type { Done } from '../base/ports.ts'
import { processNowMs } from '../base/process-clock.ts'
import type { Entry } from '../raft/types.ts'
import type { Hold } from './generation.ts'
import {
  type AppliedReport,
  type EngineToStorage,
  encodeEntries,
  type HashedContent,
  type ReplicaState,
  type SnapshotCopy,
  type StorageToEngine,
} from './storage-protocol.ts'
import type { TrialRequest } from './trials.ts'
import type { Failure, Quarantine } from './trouble.ts'

/** What the storage thread tells by itself. */
export interface StorageHandlers {
  opened(state: ReplicaState): void
  applied(report: AppliedReport): void
  /** Apply stands still on this machine's trouble and is tried again; null: it goes on. */
  halted(reason: string | null, isDivergent: boolean, quarantine: Quarantine | null): void
  hashed(hashed: HashedContent): void
}

/** The part of a `MessagePort` that the client needs. */
export interface StoragePort {
  postMessage(message: EngineToStorage, transfer: readonly ArrayBuffer[]): void
  on(event: 'message', listener: (message: StorageToEngine) => void): unknown
  close(): void
}

/** The engine thread's end of the port to the storage thread. Requests are done in order. */
export class StorageClient {
  readonly #port: StoragePort
  readonly #waiting = new Map<number, (error: Error | null, value: unknown) => void>()
  #lastId = 0

  constructor(port: StoragePort, handlers: StorageHandlers) {
    this.#port = port
    port.on('message', (message: StorageToEngine) => this.#receive(message, handlers))
  }

  apply(entries: readonly Entry[]): void {
    const bytes = encodeEntries(entries)
    this.#post({ kind: 'apply', entries: bytes, committedMs: processNowMs() }, [bytes.buffer])
  }

  /** Copies every database at one index into `directory`, relative to the data directory. */
  copySnapshot(
    directory: string,
    done: (error: Error | null, copy: SnapshotCopy | null) => void,
  ): void {
    const id = this.#await((error, value) => done(error, value as SnapshotCopy | null))
    this.#post({ kind: 'copySnapshot', id, directory })
  }

  /** Deletes a copy; one under way ends with an error first. */
  removeSnapshot(directory: string): void {
    this.#post({ kind: 'removeSnapshot', directory })
  }

  /** Puts a generation that was received whole in place of the present one. */
  install(
    generation: number,
    index: number,
    done: (error: Error | null, state: ReplicaState | null) => void,
  ): void {
    const id = this.#await((error, value) => done(error, value as ReplicaState | null))
    this.#post({ kind: 'install', id, generation, index })
  }

  /** Deletes all generations but the one in use, once the log names that one. */
  deleteOtherGenerations(): void {
    this.#post({ kind: 'deleteOtherGenerations' })
  }

  /** Moves idle databases to `index`, then tells up to where the files are durable. */
  makeDurable(index: number, done: (error: Error | null, durable: number) => void): void {
    const id = this.#await((error, value) => done(error, typeof value === 'number' ? value : 0))
    this.#post({ kind: 'makeDurable', id, index })
  }

  /** Tries statements of a transaction; `done` gets an encoded `TrialAnswer`. */
  tryStatements(
    step: TrialRequest,
    done: (error: Error | null, answer: Uint8Array | null) => void,
  ): void {
    const id = this.#await((error, value) => done(error, value as Uint8Array | null))
    this.#post({ kind: 'tryStatements', id, ...step })
  }

  endTrial(database: string, key: string): void {
    this.#post({ kind: 'endTrial', database, key })
  }

  /** What the digests were at an index that is applied, by database. */
  digests(index: number, done: (digests: ReadonlyMap<string, string>) => void): void {
    const id = this.#await((_, value) => done(value as ReadonlyMap<string, string>))
    this.#post({ kind: 'digests', id, index })
  }

  /** The files differ from the other members'. */
  diverge(reason: string): void {
    this.#post({ kind: 'diverge', reason })
  }

  /** The entry that names `key` is to be followed by a hash of all content. */
  expectHash(key: string): void {
    this.#post({ kind: 'expectHash', key })
  }

  /** The cluster has agreed that the write at that index does nothing. */
  voidEntry(index: number): void {
    this.#post({ kind: 'void', index })
  }

  /**
   * Where apply stands still, null if nowhere for good: an entry that it could not apply so far is
   * not tried again from then on.
   */
  holdEntry(hold: Hold, done: (quarantine: Quarantine | null) => void): void {
    const id = this.#await((_, value) => done(value as Quarantine | null))
    this.#post({ kind: 'hold', id, hold })
  }

  /** Nothing came of it: the entry is tried again. */
  releaseEntry(hold: Hold): void {
    this.#post({ kind: 'release', hold })
  }

  /** Ends the storage thread once what it has is applied. */
  close(done: Done): void {
    const id = this.#await((error) => {
      this.#port.close()
      done(error)
    })
    this.#post({ kind: 'close', id })
  }

  #await(done: (error: Error | null, value: unknown) => void): number {
    this.#lastId += 1
    this.#waiting.set(this.#lastId, done)
    return this.#lastId
  }

  #post(message: EngineToStorage, transfer: readonly ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer)
  }

  #receive(message: StorageToEngine, handlers: StorageHandlers): void {
    switch (message.kind) {
      case 'opened':
        handlers.opened(message.state)
        break
      case 'applied':
        handlers.applied(message.report)
        break
      case 'halted':
        handlers.halted(message.reason, message.isDivergent, message.quarantine)
        break
      case 'hashed':
        handlers.hashed(message.hashed)
        break
      case 'reply': {
        const done = this.#waiting.get(message.id)
        this.#waiting.delete(message.id)
        const { error } = message
        done?.(error && toError(error), message.value)
      }
    }
  }
}

function toError({ code, message, retryable }: Failure): ColmenaError {
  return new ColmenaError(code as ErrorCode, message, { retryable })
}
