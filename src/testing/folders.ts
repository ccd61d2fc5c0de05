import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PREFIX = 'colmena-testing-'
/** With the process that made it. */
const NAME = /^colmena-testing-(\d+)-/
/** A process in another container has a number that tells nothing here: its tests end sooner. */
const LEFT_MS_MIN = 86_400_000

const kept = new Set<string>()
let isWatching = false

/** A folder that goes by {@link removeFolder}, or at the latest when the process exits. */
export function makeFolder(): string {
  if (!isWatching) {
    process.on('exit', () => kept.forEach(removeFolder))
    removeLeftFolders()
  }
  isWatching = true
  const folder = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`))
  kept.add(folder)
  return folder
}

export function removeFolder(folder: string): void {
  kept.delete(folder)
  // At the exit of a process its threads may still write there.
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
}

/** Those of processes that were killed a day ago or more. */
export function removeLeftFolders(): void {
  for (const name of readdirSync(tmpdir())) {
    const [, pid] = NAME.exec(name) ?? []
    if (pid === undefined || isRunning(Number(pid))) continue
    try {
      const path = join(tmpdir(), name)
      if (Date.now() - statSync(path).mtimeMs > LEFT_MS_MIN) removeFolder(path)
    } catch {
      // Somebody else's, or somebody else was quicker.
    }
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
