/** How figures are written, the same on every page; each has its unit. */

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

export function formatCount(count: number): string {
  return whole.format(count)
}

/** As exact as it means something: 0.42 ms, 8.1 ms, 210 ms, 2.1 s, 3 min. */
export function formatMs(durationMs: number): string {
  if (durationMs < 1) return `${durationMs.toFixed(2)} ms`
  if (durationMs < 10) return `${durationMs.toFixed(1)} ms`
  if (durationMs < 1_000) return `${Math.round(durationMs)} ms`
  if (durationMs < 60_000) return `${(durationMs / 1_000).toFixed(1)} s`
  return formatSpan(durationMs)
}

/** A long time in its two largest units: 42 s, 3 min, 2 h 5 min, 4 d 1 h. */
export function formatSpan(durationMs: number): string {
  const seconds = Math.max(0, Math.floor(durationMs / 1_000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

const byteUnits = ['bytes', 'kB', 'MB', 'GB', 'TB'] as const

export function formatBytes(bytes: number): string {
  let amount = bytes
  let unit = 0
  while (amount >= 1_000 && unit < byteUnits.length - 1) {
    amount /= 1_000
    unit += 1
  }
  const digits = unit === 0 || amount >= 100 ? 0 : 1
  return `${amount.toFixed(digits)} ${byteUnits[unit]}`
}

/** The time of day, to the second. */
export function formatClock(at: number): string {
  return new Date(at).toTimeString().slice(0, 8)
}

/** The exact time, for the one who points at a relative one. */
export function formatExact(at: number): string {
  return new Date(at).toISOString().replace('T', ' ').replace('Z', ' UTC')
}
