import { createWriteStream, existsSync, lstatSync, renameSync, rmSync, statSync } from 'node:fs'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import type { ApiClient } from './client.ts'
import { CliError, sentenceOf } from './failure.ts'

/** Standard output, where a file is asked for. */
const OUTPUT = '-'

/** Writes a database into a file of its own, as it was at one moment. */
export async function runExport(
  client: ApiClient,
  database: string,
  path: string,
  options: { readonly force?: boolean },
): Promise<void> {
  const isFile = path !== OUTPUT && isFileOrNothing(path)
  if (isFile) checkFree(path, options.force === true)
  else if (path === OUTPUT && process.stdout.isTTY === true) {
    throw new CliError('a database is nothing to read on a terminal: send it to a file or a pipe')
  }
  const response = await client.request('GET', `export/${encodeURIComponent(database)}`)
  const part = `${path}.part`
  let sizeBytes = 0
  try {
    const body = Readable.fromWeb(response.body as ReadableStream)
    body.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.length
    })
    await pipeline(body, isFile ? createWriteStream(part, { flush: true }) : openOutput(path))
    if (isFile) renameSync(part, path)
  } catch (error) {
    if (isFile) rmSync(part, { force: true })
    throw new CliError(`${path} could not be written: ${sentenceOf(error)}`, 1, { cause: error })
  }
  const where = path === OUTPUT ? 'standard output' : path
  const said = `${database} is in ${where}, ${(sizeBytes / 1e6).toFixed(1)} MB\n`
  const shown = isFile ? process.stdout : process.stderr
  shown.write(said)
}

/** Pipes and devices are written as they are; a file appears when it is whole. */
function isFileOrNothing(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat?.isDirectory()) throw new CliError(`${path} is a folder: name a file in it`)
  return stat === undefined || stat.isFile()
}

function checkFree(path: string, isForced: boolean): void {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined && !isForced) {
    throw new CliError(`there is a file ${path} already: --force replaces it`)
  }
  // SQLite would take them for the new file's, and write what is in them over it.
  const beside = ['-wal', '-journal'].map((end) => path + end).find(existsSync)
  if (beside !== undefined) {
    throw new CliError(
      `${beside} belongs to a file that was there, and would change the new one: ` +
        'close what has that open, or remove it',
    )
  }
}

function openOutput(path: string): Writable {
  return path === OUTPUT ? process.stdout : createWriteStream(path)
}
