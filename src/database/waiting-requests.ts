import type { EngineToStorage } from './storage-protocol.ts'

export type Request = Exclude<EngineToStorage, { readonly kind: 'apply' }>

/** A request, and the entry that must be applied before it is served. */
export interface WaitingRequest {
  readonly request: Request
  readonly after: number
}

/**
 * Digests at an index that is applied are soon forgotten, differing files wait for nothing, and
 * apply itself waits for what is decided of an entry.
 */
const URGENT: ReadonlySet<Request['kind']> = new Set([
  'digests',
  'diverge',
  'void',
  'hold',
  'release',
])

/** What the engine asks of the storage side, in the order it is served. */
export class WaitingRequests {
  readonly #urgent: WaitingRequest[] = []
  readonly #others: WaitingRequest[] = []

  /** `lastReceived`: the last entry that came before it. */
  add(request: Request, lastReceived: number): void {
    if (URGENT.has(request.kind)) this.#urgent.push({ request, after: 0 })
    else this.#others.push({ request, after: lastReceived })
  }

  get first(): WaitingRequest | undefined {
    return this.#urgent[0] ?? this.#others[0]
  }

  /** Takes out the first one. */
  shift(): void {
    if (this.#urgent.shift() === undefined) this.#others.shift()
  }
}
