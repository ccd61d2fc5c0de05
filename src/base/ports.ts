/**
 * The ports that everything below `node/` is written against, so that a simulator can put a fake
 * clock, network and disk in their place. All of them complete by callback, never by promise.
 */

/** Cancels a timer; calling it twice, or after the timer fired, does nothing. */
export type Cancel = () => void

export interface Clock {
  /** Milliseconds of a clock that never goes back; its zero means nothing. */
  nowMs(): number
  /** Milliseconds since 1970, as this machine believes. */
  wallMs(): number
  /** Calls `fire` once, at the earliest after `delayMs`. */
  setTimer(delayMs: number, fire: () => void): Cancel
}

export interface Random {
  /** A uniformly drawn integer in 0 … 2^32 − 1. */
  u32(): number
}

/** A callback that is told of an error, or of none. */
export type Done = (error: Error | null) => void
