const EVERY_MS = 250
const LINE_MS = 2_000
const BAR_CHARS = 30

/** So much of something, with its unit. */
export type Show = (amount: number) => string

const showRows: Show = (rows) => `${Math.round(rows).toLocaleString('en-US')} rows`

/** How far a long work is: a bar on a terminal, a line now and then elsewhere. */
export class Progress {
  readonly #total: number | null
  readonly #show: Show
  #startedMs = performance.now()
  /** Done before this run: no merit of its speed. */
  #before = 0
  #shownMs = 0
  #done = 0

  /** @param show what there is so much of; rows by default */
  constructor(total: number | null, show: Show = showRows) {
    this.#total = total
    this.#show = show
  }

  /** So many rows were done by an earlier run. */
  skipped(rows: number): void {
    this.#before = rows
    this.#startedMs = performance.now()
  }

  /** So much in all is done. */
  update(done: number): void {
    this.#done = done
    const nowMs = performance.now()
    const isTerminal = process.stderr.isTTY === true
    if (nowMs - this.#shownMs < (isTerminal ? EVERY_MS : LINE_MS)) return
    this.#shownMs = nowMs
    process.stderr.write(isTerminal ? `\r${this.#line()}\u001b[K` : `${this.#line()}\n`)
  }

  /** How many a second, from the beginning to now. */
  end(): number {
    if (process.stderr.isTTY === true) process.stderr.write('\r\u001b[K')
    return this.#perSecond()
  }

  #perSecond(): number {
    return ((this.#done - this.#before) * 1_000) / Math.max(1, performance.now() - this.#startedMs)
  }

  #line(): string {
    const rate = `${this.#show(this.#perSecond())}/s`
    const done = this.#show(this.#done)
    if (this.#total === null || this.#total === 0) return `${done}, ${rate}`
    const share = Math.min(1, this.#done / this.#total)
    const full = Math.round(share * BAR_CHARS)
    const bar = '█'.repeat(full) + '░'.repeat(BAR_CHARS - full)
    const leftS = (this.#total - this.#done) / Math.max(1, this.#perSecond())
    return `${bar} ${Math.round(share * 100)} %, ${done}, ${rate}, ${Math.ceil(leftS)} s to go`
  }
}
