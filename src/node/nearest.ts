/**
 * Refuses what is no object, and the first key that is not among `known`: a misspelt option must
 * not be ignored.
 */
export function checkKeys(
  options: object,
  known: readonly string[],
  refuse: (message: string) => Error,
  of = '',
): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw refuse(`the options${of} must be an object; known are ${known.join(', ')}`)
  }
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue
    const nearest = nearestName(key, known)
    const hint = nearest === undefined ? `known are ${known.join(', ')}` : `is '${nearest}' meant?`
    throw refuse(`unknown option '${key}'${of}; ${hint}`)
  }
}

/** The candidate that is the fewest edits away from `name`, or undefined if none is close. */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  let nearest: string | undefined
  let least = Math.max(2, Math.floor(name.length / 2)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance < least) {
      least = distance
      nearest = candidate
    }
  }
  return nearest
}

/** How many insertions, removals and replacements turn `from` into `to`. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (row[j - 1] as number) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[to.length] as number
}
