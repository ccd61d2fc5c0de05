import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const kept = new Set<string>()
let isWatching = false

/** A folder that goes by {@link removeFolder}, or at the latest when the process exits. */
export function makeFolder(): string {
  if (!isWatching) process.on('exit', () => kept.forEach(removeFolder))
  isWatching = true
  const folder = mkdtempSync(join(tmpdir(), 'colmena-testing-'))
  kept.add(folder)
  return folder
}

export function removeFolder(folder: string): void {
  kept.delete(folder)
  // At the exit of a process its threads may still write there.
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
}
