import { setTimeout as pause } from 'node:timers/promises'

/** Time as a backup knows it; tests have one that they move. */
export interface BackupClock {
  /** Milliseconds since 1970. */
  nowMs(): number
  /** Resolves after that long, or once the signal ends it. */
  wait(waitMs: number, signal: AbortSignal): Promise<void>
}

export const REAL_CLOCK: BackupClock = {
  nowMs: () => Date.now(),
  wait: async (waitMs, signal) => {
    // An end of it is for whoever looks at the signal.
    await pause(waitMs, undefined, { signal, ref: false }).catch(() => {})
  },
}
