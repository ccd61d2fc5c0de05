const MIB = 1024 * 1024

/** How large a WAL may become, and what is done about it. */
export interface WalBounds {
  /** From here on its pages are moved to the database file between two groups. */
  readonly checkpointBytes: number
  /** From here on the oldest open read ends, and applying slows down. */
  readonly bytesMax: number
  /** The longest rest between two groups, at twice `bytesMax` and beyond. */
  readonly restMsMax: number
}

export const WAL_BOUNDS: WalBounds = Object.freeze({
  checkpointBytes: 8 * MIB,
  bytesMax: 256 * MIB,
  restMsMax: 1_000,
})

/**
 * How long to rest before the next group. Whoever holds the WAL back gets the more time to end the
 * further it is out of bounds, and what waits for this node's applying is slowed with it.
 */
export function restMsAt(walBytes: number, { bytesMax, restMsMax }: WalBounds): number {
  const over = Math.max(0, walBytes - bytesMax) / bytesMax
  return Math.ceil(Math.min(1, over) * restMsMax)
}

/** What a warning says of a WAL out of bounds. */
export function largeWalMessage(walBytes: number): string {
  return (
    `a write-ahead file has grown to ${Math.round(walBytes / MIB)} MiB, because an old snapshot ` +
    'of its database is still read: this node applies slower until that ends. Open reads of ours ' +
    'end by themselves; look for another program that reads the files'
  )
}
