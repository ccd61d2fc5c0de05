import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type BackupTarget, directoryTarget, type EncryptionOptions } from '../backup/backup.ts'
import { sentenceOf, usageError } from './failure.ts'

const FORMS = 'it is a folder, such as /mnt/backups/app, or s3://bucket/prefix'
const KEY_LINE = /^([a-zA-Z0-9._-]{1,64})\s+([0-9a-fA-F]{64})$/

/**
 * What a target of a backup is called on a command line. A folder that is only read is not made.
 *
 * @throws CliError that says what it may be
 */
export async function toTarget(
  text: string,
  { isRead = false }: { readonly isRead?: boolean } = {},
): Promise<BackupTarget> {
  const [, scheme] = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text) ?? []
  if (scheme === undefined) return toDirectory(text, text, isRead)
  if (scheme.toLowerCase() === 'file') return toDirectory(text, toPath(text), isRead)
  throw usageError(`'${text}' is no target of a backup: ${FORMS}`)
}

function toDirectory(text: string, path: string, isRead: boolean): BackupTarget {
  if (path.trim() === '') throw usageError(`'${text}' is no target of a backup: ${FORMS}`)
  return directoryTarget(path, { create: !isRead })
}

function toPath(text: string): string {
  try {
    return fileURLToPath(text)
  } catch (error) {
    throw usageError(`'${text}' is no folder: ${sentenceOf(error)}; one is as file:///mnt/backups`)
  }
}

/**
 * The keys in a file: each line is the id of one and its 64 hexadecimal digits, the newest first.
 *
 * @throws CliError that never shows a key
 */
export function readKeys(flag: string, path: string | undefined): EncryptionOptions | undefined {
  if (path === undefined) return undefined
  const keys = readLines(flag, path).map((line, at) => {
    const [, id, key] = KEY_LINE.exec(line) ?? []
    if (id !== undefined && key !== undefined) return [id, key] as const
    throw usageError(
      `${flag}: key ${at + 1} of ${path} must be its id and 64 hexadecimal digits, as of: ` +
        'echo "key-1 $(openssl rand -hex 32)"',
    )
  })
  const [newest, ...old] = keys
  if (newest === undefined) throw usageError(`${flag}: ${path} holds no key: each is a line of it`)
  return { keyId: newest[0], key: newest[1], oldKeys: Object.fromEntries(old) }
}

function readLines(flag: string, path: string): readonly string[] {
  try {
    const lines = readFileSync(path, 'utf8').split('\n')
    return lines.map((line) => line.trim()).filter((line) => line !== '')
  } catch (error) {
    throw usageError(`${flag} can't be read: ${sentenceOf(error)}`)
  }
}
