import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ColmenaError } from '../index.ts'

/**
 * An empty folder of its own.
 *
 * @param parent undefined: where temporary files go
 * @throws ColmenaError ERR_INVALID_ARGUMENT where none can be made there
 */
export async function makeFolder(parent: string | undefined, prefix: string): Promise<string> {
  const place = parent ?? tmpdir()
  try {
    return await mkdtemp(join(place, prefix))
  } catch (cause) {
    const message = `no folder can be made in ${place}: ${(cause as Error).message}`
    throw new ColmenaError('ERR_INVALID_ARGUMENT', message, { cause })
  }
}
