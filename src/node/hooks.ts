import type { ColmenaError } from '../base/errors.ts'
import type { AskedHooks, HookNews, TouchedDatabase, UserToStorage } from '../database/database.ts'
import { toAppliedEvents } from './applied-events.ts'
import type { Emit } from './events.ts'
import type { Requests } from './requests.ts'

export interface HooksOptions {
  /** Tells the storage thread what is wanted; resolves once that counts. */
  readonly ask: (asked: AskedHooks) => Promise<unknown>
  /** What it told was taken in: it may tell more. */
  readonly taken: () => void
  readonly emit: Emit
}

/** What a listener wants of one database. */
export interface ListenerOptions {
  readonly database: string
  /** Whether its changed rows are to be kept on this node, also if it was not made for that. */
  readonly keepsChanges: boolean
  /** Whether a write to the database concerns the listener. */
  readonly isConcerned: (touched: TouchedDatabase) => boolean
}

/** Somebody who waits for writes to a database; what came before a wait ends it at once. */
export class Listener {
  readonly options: ListenerOptions
  readonly #closed: (listener: Listener) => void
  #wake: PromiseWithResolvers<void> | null = null
  #isDirty = false
  #end: { readonly error: ColmenaError | null } | null = null

  constructor(options: ListenerOptions, closed: (listener: Listener) => void) {
    this.options = options
    this.#closed = closed
  }

  get isClosed(): boolean {
    return this.#end !== null
  }

  /** Resolves when the database was written to since the last call; at once where it ended. */
  async wait(): Promise<void> {
    if (!this.#isDirty && this.#end === null) {
      this.#wake ??= Promise.withResolvers()
      await this.#wake.promise
    }
    this.#isDirty = false
    if (this.#end !== null && this.#end.error !== null) throw this.#end.error
  }

  told(touched: TouchedDatabase): void {
    if (!this.options.isConcerned(touched)) return
    this.#isDirty = true
    this.#awake()
  }

  /** Ends the wait that there is, and those to come; with an error they fail. */
  close(error: ColmenaError | null = null): void {
    if (this.#end !== null) return
    this.#end = { error }
    this.#awake()
    this.#closed(this)
  }

  #awake(): void {
    this.#wake?.resolve()
    this.#wake = null
  }
}

/** Hands what the storage thread tells of writes to those on this thread who listen. */
export class Hooks {
  readonly #options: HooksOptions
  readonly #listeners = new Set<Listener>()

  constructor(options: HooksOptions) {
    this.#options = options
  }

  /** Listens to a database; every write that is applied after this resolves is told. */
  async listen(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options, (closed) => {
      if (this.#listeners.delete(closed)) void this.#ask().catch(() => {})
    })
    this.#listeners.add(listener)
    try {
      await this.#ask()
    } catch (error) {
      listener.close()
      throw error
    }
    return listener
  }

  /** The storage thread has something to tell. */
  told({ touched, writes, untoldIndex }: HookNews): void {
    for (const listener of [...this.#listeners]) {
      const { database } = listener.options
      for (const one of touched) if (one.database === database) listener.told(one)
    }
    const { emit, taken } = this.#options
    for (const event of toAppliedEvents(writes)) emit('applied', event)
    if (untoldIndex !== null) {
      emit('warning', {
        code: 'ERR_FELL_BEHIND',
        message:
          `listeners of 'applied' were too slow: writes up to index ${untoldIndex} were applied ` +
          'and not told. Do less in the listener, or read db.changes(), which loses nothing',
      })
    }
    // After the events, which leave in microtasks: what waits for a slow listener stays bounded.
    setImmediate(taken)
  }

  failAll(error: ColmenaError): void {
    for (const listener of [...this.#listeners]) listener.close(error)
  }

  #ask(): Promise<unknown> {
    const wanted = [...this.#listeners].map(({ options }) => options)
    const kept = wanted.filter(({ keepsChanges }) => keepsChanges)
    return this.#options.ask({
      watched: [...new Set(wanted.map(({ database }) => database))],
      kept: [...new Set(kept.map(({ database }) => database))],
    })
  }
}

/** Hooks by way of the storage thread. */
export function createHooks(
  requests: Requests,
  emit: Emit,
  post: (message: UserToStorage) => void,
): Hooks {
  return new Hooks({
    ask: (asked) =>
      requests.ask({ what: 'listening', post: (id) => post({ kind: 'listen', id, asked }) }),
    taken: () => post({ kind: 'hooksTaken' }),
    emit,
  })
}
