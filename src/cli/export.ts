import { createWriteStream, existsSync, renameSync, rmSync } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import type { ApiClient } from './client.ts'
import { CliError, sentenceOf } from './failure.ts'

/** Writes a database into a file of its own, as it was at one moment. */
export async function runExport(
  client: ApiClient,
  database: string,
  path: string,
  options: { readonly force?: boolean },
): Promise<void> {
  if (existsSync(path) && options.force !== true) {
    throw new CliError(`there is a file ${path} already: --force replaces it`)
  }
  const response = await client.request('GET', `export/${encodeURIComponent(database)}`)
  const part = `${path}.part`
  let sizeBytes = 0
  try {
    const body = Readable.fromWeb(response.body as ReadableStream)
    body.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.length
    })
    await pipeline(body, createWriteStream(part, { flush: true }))
    renameSync(part, path)
  } catch (error) {
    rmSync(part, { force: true })
    throw new CliError(`${path} could not be written: ${sentenceOf(error)}`, 1, { cause: error })
  }
  process.stdout.write(`${database} is in ${path}, ${(sizeBytes / 1e6).toFixed(1)} MB\n`)
}
