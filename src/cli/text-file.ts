import { createReadStream } from 'node:fs'
import { TextDecoder } from 'node:util'
import { CliError } from './failure.ts'

/**
 * The text of a file, piece by piece. A mark at its beginning tells UTF-16, in which some shells
 * write what they redirect; all else is UTF-8.
 *
 * @throws CliError where it is neither: a guess would change what the text says.
 */
export async function* readText(path: string): AsyncIterable<string> {
  let decoder: TextDecoder | null = null
  let readBytes = 0
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    decoder ??= new TextDecoder(encodingOf(chunk), { fatal: true })
    yield decode(path, readBytes, () => decoder?.decode(chunk, { stream: true }) ?? '')
    readBytes += chunk.length
  }
  yield decode(path, readBytes, () => decoder?.decode() ?? '')
}

function encodingOf(beginning: Buffer): string {
  const mark = beginning.toString('latin1', 0, 2)
  if (mark === '\u00ff\u00fe') return 'utf-16le'
  return mark === '\u00fe\u00ff' ? 'utf-16be' : 'utf-8'
}

function decode(path: string, readBytes: number, read: () => string): string {
  try {
    return read()
  } catch (cause) {
    const where = `somewhere behind byte ${readBytes}`
    const advice = 'convert it first, such as by: iconv -f LATIN1 -t UTF-8'
    throw new CliError(`${path} is no UTF-8, ${where}: ${advice}`, 1, { cause })
  }
}
