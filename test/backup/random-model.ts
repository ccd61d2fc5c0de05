import assert from 'node:assert/strict'

export type Content = Readonly<Record<string, string>>

/** A deed that is over: what its node held then. */
export interface Point {
  /** The last entry before it. */
  readonly before: number
  /** An entry that is not before its last one. */
  readonly index: number
  /** Between it and the next deed, in milliseconds since 1970. */
  readonly timeMs: number
  readonly content: Content
}

/** What the databases held at each entry, as far as single deeds tell. */
export class Model {
  readonly points: Point[] = []

  add(index: number, content: Content): void {
    const before = this.points.at(-1)?.index ?? 0
    this.points.push({ before, index, timeMs: Date.now(), content })
  }

  /**
   * The content at an entry is that of the last deed before it, unless it is in the midst of the
   * next one.
   *
   * @returns false where nothing is known of that entry
   */
  check(index: number, content: Content, what: string): boolean {
    const at = this.points.findLastIndex((point) => point.index <= index)
    const point = this.points[at]
    if (point === undefined) return false
    // A deed of several entries, or one whose caller was never told what became of it.
    if (point.index !== index) return false
    assert.deepEqual(content, point.content, `${what}, at ${index}, where ${point.index} was known`)
    return true
  }
}
