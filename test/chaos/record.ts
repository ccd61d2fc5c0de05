import { closeSync, openSync, writeSync } from 'node:fs'

/** `ok` is acknowledged; `committed` is durable by the word of an error. */
export type Fate = 'ok' | 'committed' | 'not-applied' | 'unknown'

/** What a call came to, and when. All times are those of the one process of all clients. */
export interface Told {
  /** The place of the node that was asked. */
  readonly at: number
  readonly callMs: number
  /** When its caller was told. What is `unknown` may take effect after it. */
  readonly returnMs: number
  readonly fate: Fate
  /** Of the error, '' without one. */
  readonly code: string
}

/** Lines that are kept back to be written together. */
const LINES_MAX = 500

/** Keeps every operation in a file, and figures of them all in memory. */
export class Record {
  /** How often each kind of operation had each fate, by `workload.kind`. */
  readonly counts: Map<string, { [fate in Fate]: number }> = new Map()
  /** How often each error code came. */
  readonly codes: Map<string, number> = new Map()
  /** The longest time in which no write was acknowledged. */
  longestGapMs = 0
  operations = 0
  #acknowledgedMs = Number.POSITIVE_INFINITY
  readonly #file: number
  #lines: string[] = []

  constructor(path: string) {
    this.#file = openSync(path, 'w')
  }

  /** A kind that begins with `read` writes nothing. */
  note(
    workload: string,
    kind: string,
    client: number,
    { at, callMs, returnMs, fate, code }: Told,
    input: unknown,
    output: unknown = null,
  ): void {
    this.operations += 1
    const name = `${workload}.${kind}`
    const counts = this.counts.get(name) ?? { ok: 0, committed: 0, 'not-applied': 0, unknown: 0 }
    this.counts.set(name, counts)
    counts[fate] += 1
    if (code !== '') this.codes.set(code, (this.codes.get(code) ?? 0) + 1)
    if (fate === 'ok' && !kind.startsWith('read')) this.#acknowledge(returnMs)
    const line = { workload, kind, client, at, input, output, fate, code, callMs, returnMs }
    this.#lines.push(JSON.stringify(line))
    if (this.#lines.length >= LINES_MAX) this.flush()
  }

  /** Writes are wanted from now on. */
  openGap(): void {
    this.#acknowledgedMs = performance.now()
  }

  /** Up to now they were. */
  closeGap(): void {
    this.#acknowledge(performance.now())
    this.#acknowledgedMs = Number.POSITIVE_INFINITY
  }

  flush(): void {
    writeSync(this.#file, this.#lines.map((line) => `${line}\n`).join(''))
    this.#lines = []
  }

  close(): void {
    this.flush()
    closeSync(this.#file)
  }

  #acknowledge(atMs: number): void {
    this.longestGapMs = Math.max(this.longestGapMs, atMs - this.#acknowledgedMs)
    if (this.#acknowledgedMs < atMs) this.#acknowledgedMs = atMs
  }
}
