import type { ColmenaError } from '../base/errors.ts'
import type { DropAnswer } from '../database/database.ts'
import type { EngineRequest, ErrorMessage } from '../engine/engine.ts'
import type { Deadlines } from './deadlines.ts'
import { errorFromMessage } from './failures.ts'
import { Requests } from './requests.ts'

export interface DropsOptions {
  readonly deadlines: Deadlines
  /** Hands a request to the engine; its acknowledgement says nothing of the outcome. */
  readonly post: (request: EngineRequest) => void
}

/**
 * Drops of databases, one after the other: apply takes an origin's drops in rising order only, so
 * that one which was sent twice does nothing, and two on their way at once might change places.
 */
export class Drops {
  readonly #options: DropsOptions
  readonly #requests: Requests
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: DropsOptions) {
    this.#options = options
    this.#requests = new Requests(options.deadlines)
  }

  /** True if there was such a database. */
  drop(database: string, signal: AbortSignal | undefined): Promise<boolean> {
    const dropped = this.#last.then(() => this.#drop(database, signal))
    this.#last = dropped.catch(() => {})
    return dropped
  }

  answered(drops: readonly DropAnswer[]): void {
    for (const { request, dropped } of drops) this.#requests.answered(request, dropped, null)
  }

  rejected(request: number, error: ErrorMessage): void {
    this.#requests.answered(request, null, errorFromMessage(error))
  }

  failAll(error: ColmenaError): void {
    this.#requests.failAll(error)
  }

  async #drop(database: string, signal: AbortSignal | undefined): Promise<boolean> {
    const { post } = this.#options
    let request = 0
    try {
      const dropped = await this.#requests.ask({
        what: `dropping database '${database}'`,
        signal,
        post: (id) => {
          request = id
          post({ method: 'dropDatabase', database, request })
        },
      })
      return dropped === true
    } finally {
      // Answered or given up: the engine need not send it again.
      if (request > 0) post({ method: 'dropSettled', request })
    }
  }
}
