/** Where the words of faults stand above the chart: in lanes, never over each other. */

export interface FaultMark {
  /** Seconds since 1970. */
  readonly at: number
  readonly text: string
}

export interface PlacedLabel extends FaultMark {
  readonly x: number
  /** From the lowest up; null: no room, the mark stands alone and the legend has its words. */
  readonly lane: number | null
  /** The words end at the mark instead of beginning there. */
  readonly isLeft: boolean
}

export interface LabelRoom {
  readonly lanes: number
  readonly left: number
  readonly right: number
  readonly gap: number
  width(text: string): number
}

/**
 * The newest first, since they are what is looked for: it is the older ones that yield. A mark goes
 * up to its lane, so no words may cross it in the lanes below: they are taken from the lowest up.
 */
export function placeLabels(
  marks: readonly (FaultMark & { readonly x: number })[],
  room: LabelRoom,
): PlacedLabel[] {
  const free = Array.from({ length: room.lanes }, () => room.right)
  return marks.toReversed().map((mark) => {
    const width = room.width(mark.text) + room.gap
    for (const isLeft of [false, true]) {
      const [from, to] = isLeft ? [mark.x - width, mark.x] : [mark.x, mark.x + width]
      const lane = free.findIndex(
        (limit, at) =>
          to <= limit && from >= room.left && free.slice(0, at).every((below) => mark.x <= below),
      )
      if (lane < 0) continue
      for (let below = 0; below <= lane; below += 1) {
        free[below] = Math.min(free[below] ?? 0, below === lane ? from : mark.x)
      }
      return { ...mark, lane, isLeft }
    }
    return { ...mark, lane: null, isLeft: false }
  })
}
