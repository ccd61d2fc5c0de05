/** Sums up repeated measurements: one slow round of a shared machine must not decide a row. */
export function median(values: readonly number[]): number {
  return percentile(values, 50)
}

/** The nearest rank: a value that was measured, never one in between. */
export function percentile(values: ArrayLike<number>, percent: number): number {
  if (values.length === 0) throw new Error('nothing was measured')
  const sorted = Float64Array.from(values).sort()
  const rank = Math.max(1, Math.ceil((percent / 100) * sorted.length))
  return sorted[rank - 1] as number
}
