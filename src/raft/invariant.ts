/** A promise this room makes to itself was broken: our bug, or an owner that broke the contract. */
export class RaftInvariantError extends Error {
  override readonly name: string = 'RaftInvariantError'
}

/** Throws {@link RaftInvariantError} unless `condition` holds. Never guards what a peer sends. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new RaftInvariantError(`invariant broken: ${message}`)
}
