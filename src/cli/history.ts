import { closeSync, existsSync, fchmodSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { sentenceOf } from './failure.ts'

/** The lines of earlier shells, in a file that only its owner may read: they may hold anything. */
export class History {
  readonly path: string
  /** Why there is none; null if it is read and can be kept. */
  readonly trouble: string | null
  /** The newest first, as readline has it. */
  readonly lines: readonly string[]

  constructor(path: string) {
    this.path = path
    try {
      this.lines = existsSync(path) ? readLines(path) : []
      this.trouble = null
    } catch (error) {
      this.lines = []
      this.trouble = `this shell has no history: ${sentenceOf(error)}`
    }
  }

  /** Takes the place of what the file has; one that could not be read is left as it is. */
  keep(lines: readonly string[]): void {
    if (this.trouble !== null) return
    try {
      writePrivate(this.path, `${lines.toReversed().join('\n')}\n`)
    } catch {
      // A home that can't be written to costs the history only.
    }
  }
}

function readLines(path: string): readonly string[] {
  const lines = readFileSync(path, 'utf8').split('\n')
  return lines.filter((line) => line !== '').toReversed()
}

function writePrivate(path: string, text: string): void {
  const file = openSync(path, 'w', 0o600)
  try {
    // The mode above is that of a new file only.
    fchmodSync(file, 0o600)
    writeFileSync(file, text)
  } finally {
    closeSync(file)
  }
}
