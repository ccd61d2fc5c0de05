import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** A file system of its own that can be filled up; needs the right to mount. */
export class SmallDisk {
  readonly path: string
  readonly #filler: string

  /** @throws Error where mounting is not permitted. */
  constructor(path: string, sizeMib: number) {
    mkdirSync(path, { recursive: true })
    const size = `size=${sizeMib}m`
    execFileSync('mount', ['-t', 'tmpfs', '-o', size, 'tmpfs', path], { stdio: 'pipe' })
    this.path = path
    this.#filler = join(path, 'filler')
  }

  /** Takes every byte that is left. */
  fill(): void {
    const file = openSync(this.#filler, 'a')
    try {
      for (let sizeBytes = 64 * 1024; sizeBytes >= 1; sizeBytes /= 2) {
        const chunk = Buffer.alloc(sizeBytes, 1)
        while (tryWrite(file, chunk));
      }
    } finally {
      closeSync(file)
    }
  }

  free(): void {
    rmSync(this.#filler, { force: true })
  }

  unmount(): void {
    // At once, also while a process that was killed is on its way out.
    execFileSync('umount', ['-l', this.path], { stdio: 'pipe' })
  }
}

function tryWrite(file: number, chunk: Buffer): boolean {
  try {
    return writeSync(file, chunk) === chunk.length
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false
    throw error
  }
}
