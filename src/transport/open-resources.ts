/** What must be gone before a transport counts as closed: sockets, and streams with open files. */
export interface Destroyable {
  destroy(): unknown
}

/** Counts what is open, and says when nothing is. */
export class OpenResources {
  readonly #open = new Set<Destroyable>()
  #waiting: (() => void) | null = null

  add(resource: Destroyable): void {
    this.#open.add(resource)
  }

  /** The resource is closed by now: nothing of it will happen any more. */
  remove(resource: Destroyable): void {
    this.#open.delete(resource)
    if (this.#open.size > 0 || this.#waiting === null) return
    const done = this.#waiting
    this.#waiting = null
    done()
  }

  destroyAll(): void {
    for (const resource of [...this.#open]) resource.destroy()
  }

  /** Calls `done` once, when nothing is open; at once if nothing is. */
  whenEmpty(done: () => void): void {
    if (this.#open.size === 0) done()
    else this.#waiting = done
  }
}
