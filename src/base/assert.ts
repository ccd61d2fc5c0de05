/** A broken invariant: our bug, never the caller's. It closes this node and leaves the others. */
export class AssertionFailure extends Error {
  override readonly name: string = 'AssertionFailure'
}

/** Throws {@link AssertionFailure} unless `condition` holds; `message` states the invariant. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFailure(`invariant broken: ${message}`)
}
