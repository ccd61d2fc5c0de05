/**
 * Folders that must not outlive their process, however that ends: a life or a case that is ended in
 * its midst can't remove its own. Their names have the process, so that others know whose they are.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'

/** Files in memory, where there is such a place: thousands of lives would wear a disk out. */
export const LIVES: string = join(
  existsSync('/dev/shm') ? '/dev/shm' : tmpdir(),
  'colmena-simulated',
)

/** A process elsewhere may share the place, and its number says nothing here: it is at work. */
const UNTOUCHED_MS = 600_000
const swept = new Set<string>()

/** A new folder; the first time, what processes that are gone have left there is removed. */
export function makePassing(prefix: string): string {
  if (!swept.has(prefix)) {
    swept.add(prefix)
    for (const [path, pid] of findPassing(prefix)) if (isLeft(path, pid)) remove(path)
  }
  return mkdtempSync(`${prefix}-${process.pid}-`)
}

/** Removes all that a process has made, which must have come to its end. */
export function removePassing(prefix: string, pid: number): void {
  for (const [path, owner] of findPassing(prefix)) if (owner === pid) remove(path)
}

function findPassing(prefix: string): [path: string, pid: number][] {
  const [place, kind] = [dirname(prefix), `${basename(prefix)}-`]
  return readdirSync(place).flatMap((name) => {
    if (!name.startsWith(kind)) return []
    const [, pid] = /^(\d+)-[^-]+$/.exec(name.slice(kind.length)) ?? []
    return pid === undefined ? [] : [[join(place, name), Number(pid)]]
  })
}

function isLeft(path: string, pid: number): boolean {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined || Date.now() - stats.mtimeMs < UNTOUCHED_MS) return false
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}

function remove(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 5 })
}
