import { randomUUID } from 'node:crypto'
import * as fs from 'node:fs'
import { dirname } from 'node:path'
import { syncDirectoryNow } from '../base/directory-sync.ts'
import { ColmenaError } from '../base/errors.ts'

/** @throws ColmenaError ERR_INVALID_ARGUMENT where a copy can't be put. */
export function checkCopyTarget(path: string): void {
  if (fs.existsSync(path)) throw alreadyThere(path)
  const folder = fs.statSync(dirname(path), { throwIfNoEntry: false })
  if (folder?.isDirectory()) return
  throw new ColmenaError('ERR_INVALID_ARGUMENT', `there is no folder ${dirname(path)}: make it`)
}

/**
 * Has a copy made beside `path` and gives it its name when it is whole; what failed leaves
 * nothing. No file is ever replaced.
 */
export async function withCopyTarget<T>(
  path: string,
  make: (partialPath: string) => Promise<T>,
): Promise<T> {
  const partialPath = `${path}.${randomUUID()}.partial`
  try {
    const made = await make(partialPath)
    name(partialPath, path)
    return made
  } finally {
    for (const end of ['', '-journal']) fs.rmSync(partialPath + end, { force: true })
  }
}

function name(partialPath: string, path: string): void {
  try {
    // Renaming alone would replace what came there meanwhile.
    fs.closeSync(fs.openSync(path, 'wx'))
    fs.renameSync(partialPath, path)
    syncDirectoryNow(dirname(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw alreadyThere(path)
    const reason = (error as Error).message
    throw new ColmenaError('ERR_FAILED', `the copy can't be kept: ${reason}`, { cause: error })
  }
}

function alreadyThere(path: string): ColmenaError {
  return new ColmenaError(
    'ERR_INVALID_ARGUMENT',
    `${path} is there already, and no copy replaces a file: name another, or remove it first`,
  )
}
