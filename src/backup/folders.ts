import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ColmenaError } from '../index.ts'

/** A folder of one's own, which is removed with all that is in it at the end. */
export interface Folder extends AsyncDisposable {
  readonly path: string
}

/**
 * @param parent undefined: where temporary files go
 * @throws ColmenaError ERR_INVALID_ARGUMENT where none can be made there
 */
export async function makeFolder(parent: string | undefined, prefix: string): Promise<Folder> {
  const place = parent ?? tmpdir()
  const path = await mkdtemp(join(place, prefix)).catch((cause) => {
    const message = `no folder can be made in ${place}: ${cause.message}`
    throw new ColmenaError('ERR_INVALID_ARGUMENT', message, { cause })
  })
  const remove = (): Promise<void> => rm(path, { recursive: true, force: true })
  return { path, [Symbol.asyncDispose]: remove }
}
