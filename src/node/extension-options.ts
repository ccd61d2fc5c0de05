import { resolve } from 'node:path'
import { ColmenaError } from '../base/errors.ts'
import { listExtensions } from '../base/fingerprint.ts'
import type { Extension } from '../sqlite/sqlite.ts'
import { checkKeys } from './nearest.ts'

/** One extension that `open` loads. */
export interface ExtensionOptions {
  /** What all nodes call it: letters, digits, `_`, `.` and `-`, up to 64. */
  readonly name: string
  /** The same on all nodes; equal versions must answer alike, whatever they were built for. */
  readonly version: string
  /** Where this node has it: the library's file, with its ending. */
  readonly path: string
}

/** Of the whole list, as nodes tell it each other. */
const LIST_BYTES_MAX = 512
const KEYS = ['name', 'version', 'path'] as const

/** @throws ColmenaError ERR_INVALID_OPTION */
export function checkExtensions(value: unknown): readonly Extension[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) {
    throw invalid('extensions must be a list, such as [{ name, version, path }]')
  }
  const extensions = value.map((one, at) => checkExtension(one, `extensions[${at}]`))
  const names = extensions.map(({ name }) => name)
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice !== undefined) throw invalid(`extensions has '${twice}' twice: name each one once`)
  const sizeBytes = listExtensions(extensions).length
  if (sizeBytes <= LIST_BYTES_MAX) return Object.freeze(extensions)
  throw invalid(
    `extensions has names and versions of ${sizeBytes} bytes together; all of them may take ` +
      `${LIST_BYTES_MAX}, with a comma and an @ each: shorten them`,
  )
}

function checkExtension(value: unknown, where: string): Extension {
  if (typeof value !== 'object' || value === null) {
    throw invalid(`${where} must be an object: { name, version, path }`)
  }
  const options = value as Record<string, unknown>
  checkKeys(options, KEYS, (message) => invalid(`${where}: ${message}`))
  const name = checkWord(options['name'], `${where}.name`)
  const version = checkWord(options['version'], `${where}.version`)
  const { path } = options as { path?: unknown }
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) {
    return Object.freeze({ name, version, path: resolve(path) })
  }
  throw invalid(`${where}.path must be the path of a library, such as './vec0.so'`)
}

function checkWord(word: unknown, where: string): string {
  if (typeof word === 'string' && /^[\w.+-]{1,64}$/.test(word)) return word
  const shown = typeof word === 'string' ? `'${word.slice(0, 64)}'` : typeof word
  throw invalid(`${where} is ${shown}; it must be 1 to 64 letters, digits or any of _ . + -`)
}

function invalid(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_OPTION', message)
}
