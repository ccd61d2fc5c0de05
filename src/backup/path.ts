import type { SegmentName } from './names.ts'

/** Segments that lead from one index on, each taking up where the one before ends, or earlier. */
export interface Path {
  readonly segments: readonly SegmentName[]
  /** The last entry of the last segment; where it began if there is none. */
  readonly last: number
  /** The segment behind the first entry that is missing, null where the path ends with the last. */
  readonly behindGap: SegmentName | null
}

/**
 * The fewest segments that lead as far as there are any, or to `until`. Two leaders may both have
 * put what was committed while one took over from the other: entries of one index are the same
 * wherever they stand, so what overlaps is no trouble.
 *
 * @param segments in the order of their first entries
 */
export function findPath(
  segments: readonly SegmentName[],
  from: number,
  until: number = Number.POSITIVE_INFINITY,
): Path {
  const path: SegmentName[] = []
  let last = from
  let furthest: SegmentName | null = null
  for (const segment of segments) {
    if (last >= until) break
    if (segment.first > last + 1) {
      if (furthest === null || furthest.last <= last) break
      path.push(furthest)
      last = furthest.last
      furthest = null
    }
    if (segment.first > last + 1) break
    if (segment.last > (furthest?.last ?? last)) furthest = segment
  }
  if (furthest !== null && last < until) {
    path.push(furthest)
    last = furthest.last
  }
  const behindGap = segments.find(({ first }) => first > last + 1) ?? null
  return { segments: path, last, behindGap: last >= until ? null : behindGap }
}
