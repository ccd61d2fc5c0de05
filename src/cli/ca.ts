import { X509Certificate } from 'node:crypto'
import { lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import {
  authorityFingerprint,
  createAuthority,
  issueCertificate,
} from '../certificates/certificates.ts'
import { ColmenaError } from '../index.ts'
import { CliError, sentenceOf, usageError } from './failure.ts'
import { toInteger } from './numbers.ts'

const CA_FILE = 'ca.pem'
const CA_KEY_FILE = 'ca-key.pem'
const DAYS_MAX = 36_500

interface WriteOptions {
  readonly out: string
  readonly days: string
  readonly force?: boolean
}

/** A file that a command writes. */
interface NewFile {
  readonly path: string
  readonly content: string
  readonly isKey: boolean
}

/** Makes a CA in a folder. */
export async function runCaInit(options: WriteOptions & { readonly name: string }): Promise<void> {
  const days = toInteger('--days', options.days, 1, DAYS_MAX)
  const certPath = join(options.out, CA_FILE)
  const keyPath = join(options.out, CA_KEY_FILE)
  checkFree([certPath, keyPath], options.force)
  const { cert, key } = await createAuthority({ name: options.name, days }).catch((error) => {
    throw usageError(`--${sentenceOf(error)}`)
  })
  writeAll([
    { path: keyPath, content: key, isKey: true },
    { path: certPath, content: cert, isKey: false },
  ])
  const fingerprint = Buffer.from(authorityFingerprint(cert)).toString('hex')
  say([
    `${certPath}  the certificate of the CA, valid until ${lastDayOf(cert)}: every node gets it`,
    `${keyPath}  its key: keep it off the nodes, as who has it can make nodes of this cluster`,
    `SHA-256 of the CA: ${fingerprint}`,
    `for each node:  colmena ca issue NODE_ID${folderFlag('--ca', options.out)}`,
  ])
}

/** Has a CA sign a certificate for one node. */
export async function runCaIssue(
  nodeId: string,
  options: WriteOptions & { readonly ca: string; readonly address?: readonly string[] },
): Promise<void> {
  const days = toInteger('--days', options.days, 1, DAYS_MAX)
  const caPath = join(options.ca, CA_FILE)
  const caKeyPath = join(options.ca, CA_KEY_FILE)
  const [ca, caKey] = [readPem(caPath), readPem(caKeyPath)]
  const certPath = join(options.out, `${nodeId}.pem`)
  const keyPath = join(options.out, `${nodeId}-key.pem`)
  const issued = await issueCertificate({
    ...{ ca, caKey, nodeId, days },
    addresses: options.address,
  }).catch((error) => {
    throw issueFailure(error, caPath, caKeyPath)
  })
  const own = [caPath, caKeyPath].map((path) => resolve(path))
  if ([certPath, keyPath].some((path) => own.includes(resolve(path)))) {
    throw usageError(`the files of a node named '${nodeId}' are the CA's: give another --out`)
  }
  checkFree([certPath, keyPath], options.force)
  writeAll([
    { path: keyPath, content: issued.key, isKey: true },
    { path: certPath, content: issued.cert, isKey: false },
  ])
  const lastDay = lastDayOf(issued.cert)
  const end = lastDay === lastDayOf(ca) ? `${lastDay}, as the CA` : lastDay
  say([
    `${certPath}  the certificate of node ${nodeId}, valid until ${end}`,
    `${keyPath}  its key, for that node alone`,
    `on that node:  colmena serve --node-id ${nodeId} --bind HOST:PORT \\`,
    `    --tls-ca ${caPath} --tls-cert ${certPath} --tls-key ${keyPath}`,
  ])
}

function issueFailure(error: unknown, caPath: string, caKeyPath: string): unknown {
  if (!(error instanceof ColmenaError)) return error
  const sentence = error.message
    .replace(/^ca /, `${caPath} `)
    .replace(/^caKey /, `${caKeyPath} `)
    .replace(/ of ca$/, ` of ${caPath}`)
  return usageError(sentence)
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const advice = '--ca names the folder of a CA, which colmena ca init makes'
    throw new CliError(`${path} can't be read: ${sentenceOf(cause)}; ${advice}`, 1, { cause })
  }
}

function checkFree(paths: readonly string[], isForced = false): void {
  const taken = paths.find((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined)
  if (taken === undefined || isForced) return
  throw new CliError(`there is a file ${taken} already: --force replaces it`)
}

/**
 * Each is made anew, so that a key is never readable by others, not even for a moment; and all of
 * them before any takes its place, as a key without its certificate is of no use to anybody.
 */
function writeAll(files: readonly NewFile[]): void {
  const made: string[] = []
  let path = ''
  try {
    for (const { content, isKey, ...file } of files) {
      path = file.path
      const aside = `${path}.new`
      mkdirSync(resolve(path, '..'), { recursive: true })
      rmSync(aside, { force: true })
      made.push(aside)
      writeFileSync(aside, content, { flag: 'wx', mode: isKey ? 0o600 : 0o644, flush: true })
    }
    for (const file of files) {
      path = file.path
      renameSync(`${path}.new`, path)
    }
  } catch (cause) {
    for (const aside of made) rmSync(aside, { force: true })
    throw new CliError(`${path} can't be written: ${sentenceOf(cause)}`, 1, { cause })
  }
}

function lastDayOf(cert: string): string {
  return new X509Certificate(cert).validToDate.toISOString().slice(0, 10)
}

function folderFlag(flag: string, folder: string): string {
  return folder === '.' ? '' : ` ${flag} ${folder}`
}

function say(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`)
}
