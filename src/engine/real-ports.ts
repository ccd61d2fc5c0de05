import { randomFillSync } from 'node:crypto'
import type { Clock, Random } from '../base/ports.ts'
import { processNowMs } from '../base/process-clock.ts'

/** The machine's clocks; `nowMs` agrees between the threads of a process. */
export function createRealClock(): Clock {
  return {
    nowMs: processNowMs,
    wallMs: () => Date.now(),
    setTimer: (delayMs, fire) => {
      const timer = setTimeout(fire, delayMs)
      return () => clearTimeout(timer)
    },
  }
}

/** The operating system's randomness, drawn in advance. */
export function createRealRandom(): Random {
  const pool = new Uint32Array(256)
  let at = pool.length
  return {
    u32: () => {
      if (at === pool.length) {
        randomFillSync(pool)
        at = 0
      }
      const drawn = pool[at] as number
      at += 1
      return drawn
    },
  }
}
