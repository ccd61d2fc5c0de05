/** Where and on what something ran, as a page that quotes the run has to say with it. */
import { execFileSync } from 'node:child_process'
import { arch, availableParallelism, platform, totalmem } from 'node:os'

export interface Circumstances {
  /** Abbreviated; `unknown` outside of a checkout. */
  readonly commit: string
  /** Nothing differs from that commit but the record itself. */
  readonly isClean: boolean
  readonly node: string
  readonly machine: string
}

/** Long runs in a row write these two. */
const OWN = [':!docs/results.jsonl', ':!docs/results.md']

export function readCircumstances(): Circumstances {
  const gib = Math.round(totalmem() / 2 ** 30)
  return {
    commit: git('rev-parse', '--short=7', 'HEAD') ?? 'unknown',
    isClean: git('status', '--porcelain', '--', '.', ...OWN) === '',
    node: process.versions.node,
    machine: `${platform()} ${arch()}, ${availableParallelism()} cores, ${gib} GiB`,
  }
}

function git(...args: readonly string[]): string | null {
  try {
    return execFileSync('git', args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  } catch {
    return null
  }
}
