import type { Done } from '../base/ports.ts'

/** Calls `step` for one item after the other; ends at the first error. */
export function forEachInOrder<Item>(
  items: readonly Item[],
  step: (item: Item, done: Done) => void,
  done: Done,
): void {
  const next = (at: number): void => {
    const item = items[at]
    if (item === undefined) {
      done(null)
      return
    }
    step(item, (error) => {
      if (error !== null) done(error)
      else next(at + 1)
    })
  }
  next(0)
}
