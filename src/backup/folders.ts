import { lstat, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ColmenaError } from '../index.ts'

/** What is older was left by a process that was killed amid its work. */
const LEFT_MS = 2 * 86_400_000

/** A folder of one's own, which is removed with all that is in it at the end. */
export interface Folder extends AsyncDisposable {
  readonly path: string
}

/**
 * Makes one, and removes what earlier ones of that prefix left.
 *
 * @param parent undefined: where temporary files go
 * @throws ColmenaError ERR_INVALID_ARGUMENT where none can be made there
 */
export async function makeFolder(parent: string | undefined, prefix: string): Promise<Folder> {
  const place = parent ?? tmpdir()
  await sweep(place, prefix)
  const path = await mkdtemp(join(place, prefix)).catch((cause) => {
    const message = `no folder can be made in ${place}: ${cause.message}`
    throw new ColmenaError('ERR_INVALID_ARGUMENT', message, { cause })
  })
  const remove = (): Promise<void> => rm(path, { recursive: true, force: true })
  return { path, [Symbol.asyncDispose]: remove }
}

/** Each may be as large as all databases: what is killed in a drill each day would fill disks. */
async function sweep(place: string, prefix: string): Promise<void> {
  const names = await readdir(place).catch(() => [])
  for (const name of names) {
    if (!name.startsWith(prefix)) continue
    const path = join(place, name)
    const found = await lstat(path).catch(() => null)
    // Where all may write it may be somebody else's, who could make it lead elsewhere meanwhile.
    const isOwn = found?.isDirectory() === true && found.uid === process.getuid?.()
    if (!isOwn || Date.now() - found.mtimeMs < LEFT_MS) continue
    await rm(path, { recursive: true, force: true }).catch(() => {})
  }
}
