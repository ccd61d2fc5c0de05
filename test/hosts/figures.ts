/** What becomes of many measurements. */
export function describeMs(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b)
  const [middle = 0, most = 0] = [sorted[sorted.length >> 1], sorted.at(-1)]
  return `half of them in ${middle.toFixed(0)} ms, all in ${most.toFixed(0)} ms`
}
