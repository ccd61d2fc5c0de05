import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type BackupTarget, directoryTarget, type EncryptionOptions } from '../backup/backup.ts'
import { type CliError, sentenceOf, usageError } from './failure.ts'

const FORMS = 'it is a folder, such as /mnt/backups/app, or s3://bucket/prefix'
const S3_FORM = 'one is as s3://bucket/prefix?endpoint=https://s3.example.com&region=eu-central-1'
const S3_VARIABLES =
  'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN where there is one'
const S3_KEYS = ['endpoint', 'region', 'pathStyle', 'conditionalPut'] as const
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
  if (scheme.toLowerCase() === 's3') return toBucket(text, process.env)
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

/** Credentials come by the environment alone: command lines are seen by others. */
async function toBucket(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<BackupTarget> {
  const url = URL.parse(text)
  if (url === null || url.host === '' || url.hash !== '') throw wrongBucket(text, S3_FORM)
  if (url.username !== '' || url.password !== '') {
    throw usageError(`credentials are not for a command line: ${S3_VARIABLES}`)
  }
  const query = toQuery(text, url.searchParams)
  const [accessKeyId, secretAccessKey] = [env['AWS_ACCESS_KEY_ID'], env['AWS_SECRET_ACCESS_KEY']]
  if (!accessKeyId || !secretAccessKey) {
    throw usageError(`${url.protocol}//${url.host} needs credentials: ${S3_VARIABLES}`)
  }
  // Only here: who keeps backups in a folder has no use for it.
  const { s3Target } = await import('../backup/s3.ts')
  const endpoint = env['AWS_ENDPOINT_URL_S3'] || env['AWS_ENDPOINT_URL'] || undefined
  try {
    return s3Target({
      bucket: url.host,
      prefix: url.pathname.replace(/^\//, ''),
      endpoint: query.endpoint ?? endpoint,
      region: query.region ?? (env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || undefined),
      pathStyle: query.pathStyle === 'true',
      conditionalPut: query.conditionalPut as 'auto' | 'never' | undefined,
      accessKeyId,
      secretAccessKey,
      sessionToken: env['AWS_SESSION_TOKEN'] || undefined,
    })
  } catch (error) {
    throw wrongBucket(text, sentenceOf(error).replace('pathStyle: true', 'pathStyle=true'))
  }
}

type Query = { readonly [Key in (typeof S3_KEYS)[number]]?: string }

function toQuery(text: string, parameters: URLSearchParams): Query {
  const query = Object.fromEntries(parameters) as Query
  const unknown = Object.keys(query).find((key) => !(S3_KEYS as readonly string[]).includes(key))
  if (unknown !== undefined) {
    throw wrongBucket(text, `it has no '${unknown}', but ${S3_KEYS.join(', ')}`)
  }
  const { pathStyle = 'false' } = query
  if (pathStyle === 'true' || pathStyle === 'false') return query
  throw wrongBucket(text, `pathStyle is '${pathStyle}'; it must be true or false`)
}

function wrongBucket(text: string, why: string): CliError {
  return usageError(`'${text}' is no target of a backup: ${why}`)
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
