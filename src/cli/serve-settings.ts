import { readFileSync } from 'node:fs'
import type { ExtensionOptions, OpenOptions } from '../index.ts'
import type { Right, ServerOptions } from '../server/server.ts'
import { usageError } from './failure.ts'
import { toInteger, toPort } from './numbers.ts'
import {
  BACKUP_SETTINGS,
  type BackupPlan,
  flagName,
  type Setting,
  toBackupPlan,
  type Value,
  type Values,
} from './serve-backup.ts'

/** In the order in which help lists them. */
export const SETTINGS: readonly Setting[] = [
  { key: 'nodeId', kind: 'text', help: "the node's name; made up and kept without it" },
  { key: 'dataDir', kind: 'text', help: 'where everything is kept (./data)' },
  {
    key: 'bind',
    kind: 'text',
    help: 'host:port for the other nodes; without it the node is alone',
  },
  { key: 'advertise', kind: 'text', help: 'host:port that the others dial, where it differs' },
  {
    key: 'bootstrap',
    kind: 'switch',
    help: 'begins a new cluster, on the first start of one node',
  },
  { key: 'join', kind: 'list', help: 'host:port of members to join through, on a first start' },
  { key: 'joinTimeoutMs', kind: 'number', help: 'for how long a start looks for its cluster' },
  { key: 'joinAs', kind: 'text', help: 'voter (the default) or learner' },
  { key: 'secret', kind: 'text', help: 'what all nodes know: better by COLMENA_SECRET or a file' },
  { key: 'secretFile', kind: 'text', help: 'a file that holds the secret; several, newest first' },
  { key: 'tlsCa', kind: 'text', help: 'in place of a secret: a file with the CA of all nodes' },
  { key: 'tlsCert', kind: 'text', help: "with it: a file with this node's certificate" },
  { key: 'tlsKey', kind: 'text', help: 'with it: a file with the key of that certificate' },
  { key: 'insecure', kind: 'switch', help: 'allows plaintext between machines' },
  {
    key: 'durability',
    kind: 'text',
    help: 'full (the default), or relaxed: acknowledges 100 ms before the disk has it',
  },
  {
    key: 'acceptLoss',
    kind: 'text',
    help: 'what ERR_UNCLEAN_STOP of this very node names; good for that stop alone',
  },
  { key: 'electionTimeoutMs', kind: 'number', help: 'silence after which a leader is replaced' },
  { key: 'statementTimeoutMs', kind: 'number', help: 'after which a read of a client is killed' },
  { key: 'extensions', kind: 'list', help: 'of SQLite, each as name@version=path' },
  { key: 'slowMs', kind: 'number', help: 'from which a statement is told as slow' },
  { key: 'httpHost', kind: 'text', help: 'for clients (127.0.0.1); beyond it tokens are needed' },
  { key: 'httpPort', kind: 'port', help: 'for clients (8080); 0 for any that is free' },
  { key: 'readToken', kind: 'list', help: 'who has it may read' },
  { key: 'writeToken', kind: 'list', help: 'who has it may write too' },
  { key: 'adminToken', kind: 'list', help: 'who has it may change the members too' },
  { key: 'httpCert', kind: 'text', help: 'a file with the certificate for HTTPS, in PEM' },
  { key: 'httpKey', kind: 'text', help: 'a file with its key, in PEM' },
  ...BACKUP_SETTINGS,
]

/** Files that are of use only together, by what they are called in options of `tls`. */
const TLS_FILES = { ca: 'tlsCa', cert: 'tlsCert', key: 'tlsKey' } as const
const HTTP_FILES = { cert: 'httpCert', key: 'httpKey' } as const

/** Settings that are no options of `open` as they stand. */
const NOT_OF_OPEN: readonly string[] = [
  ...['secretFile', 'httpHost', 'httpPort', 'readToken', 'writeToken', 'adminToken'],
  ...Object.values(TLS_FILES),
  ...Object.values(HTTP_FILES),
  ...BACKUP_SETTINGS.map(({ key }) => key),
]

export interface ServeConfig {
  readonly open: OpenOptions
  readonly server: ServerOptions
  readonly backup: BackupPlan
}

export function flagOf({ key, kind }: Setting): string {
  const flag = flagName(key)
  if (kind === 'switch') return flag
  return kind === 'list' ? `${flag} <value...>` : `${flag} <value>`
}

export function variableOf(key: string): string {
  return `COLMENA_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
}

/**
 * What `serve` is told: flags win over the environment, the environment over the file.
 *
 * @throws CliError that names the setting, where it came from, and what it may be.
 */
export function readServeConfig(
  flags: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
): ServeConfig {
  const configPath = flags['config'] ?? env['COLMENA_CONFIG']
  const file = typeof configPath === 'string' ? readConfigFile(configPath) : {}
  const values: Record<string, Value | undefined> = {}
  for (const setting of SETTINGS) {
    const { key } = setting
    const flag = flags[key]
    const variable = env[variableOf(key)]
    if (flag !== undefined) values[key] = convert(setting, flag, flagOf(setting).split(' ')[0])
    else if (variable !== undefined && variable !== '') {
      values[key] = convert(setting, variable, variableOf(key))
    } else if (file[key] !== undefined) {
      values[key] = convert(setting, file[key], `${key} in ${String(configPath)}`)
    }
  }
  return {
    open: toOpenOptions(values),
    server: toServerOptions(values),
    backup: toBackupPlan(values),
  }
}

function readConfigFile(path: string): Readonly<Record<string, unknown>> {
  let parsed: unknown
  try {
    parsed = JSON.parse(readText('--config', path))
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw usageError(`${path} is no JSON: ${error.message}`)
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw usageError(`${path} must hold an object, such as { "dataDir": "./data" }`)
  }
  const known = SETTINGS.map(({ key }) => key)
  const unknown = Object.keys(parsed).find((key) => !known.includes(key))
  if (unknown !== undefined) {
    throw usageError(`${path} has the unknown key '${unknown}'; known are ${known.join(', ')}`)
  }
  return parsed as Record<string, unknown>
}

function convert({ kind }: Setting, value: unknown, from = ''): Value {
  switch (kind) {
    case 'switch':
      if (typeof value === 'boolean') return value
      if (value === 'true' || value === '1') return true
      if (value === 'false' || value === '0') return false
      throw usageError(`${from} is '${String(value)}'; it must be true or false`)
    case 'list': {
      const values = Array.isArray(value) ? value : String(value).split(',')
      return values.map((one) => String(one).trim()).filter((one) => one !== '')
    }
    case 'number':
      return toInteger(from, String(value), 1, 2 ** 31 - 1)
    case 'port':
      return toPort(from, String(value))
    case 'text':
      if (typeof value === 'string' && value !== '') return value
      throw usageError(`${from} must be a text that is not empty`)
  }
}

function toOpenOptions(values: Values): OpenOptions {
  const own = Object.entries(values).filter(([key]) => !NOT_OF_OPEN.includes(key))
  const { dataDir = './data', secretFile } = values
  const secret = typeof secretFile === 'string' ? readSecrets(secretFile) : values['secret']
  const extensions = (values['extensions'] as readonly string[] | undefined)?.map(toExtension)
  const checked = { dataDir, secret, extensions, tls: readFiles(values, TLS_FILES) }
  return { ...Object.fromEntries(own), ...checked } as unknown as OpenOptions
}

/** One on each line, newest first. */
function readSecrets(path: string): string | readonly string[] {
  const lines = readText('the secret file', path).split('\n')
  const secrets = lines.map((line) => line.trim()).filter((line) => line !== '')
  if (secrets.length === 0) throw usageError(`${path} holds no secret: each is a line of it`)
  return secrets.length === 1 ? (secrets[0] as string) : secrets
}

/** What the files hold that belong together, by the names of options; undefined without them. */
function readFiles<Name extends string>(
  values: Values,
  keys: Readonly<Record<Name, string>>,
): Readonly<Record<Name, string>> | undefined {
  const files = Object.entries<string>(keys)
  const flags = files.map(([, key]) => flagName(key))
  const missing = files.filter(([, key]) => values[key] === undefined)
  if (missing.length === files.length) return undefined
  if (missing.length > 0) throw usageError(`${flags.join(', ')} go together: give all or none`)
  return Object.fromEntries(
    files.map(([name, key]) => [name, readText(flagName(key), String(values[key]))]),
  ) as Record<Name, string>
}

/** @throws CliError */
export function toExtension(text: string): ExtensionOptions {
  const [, name, version, path] = /^([^@=]+)@([^=]+)=(.+)$/.exec(text) ?? []
  if (name !== undefined && version !== undefined && path !== undefined) {
    return { name, version, path }
  }
  throw usageError(`--extensions has '${text}'; each is name@version=path, vec@0.1.9=./vec0.so`)
}

function toServerOptions(values: Values): ServerOptions {
  const tokens: Record<string, Right> = {}
  for (const right of ['read', 'write', 'admin'] as const) {
    for (const token of (values[`${right}Token`] ?? []) as readonly string[]) tokens[token] = right
  }
  return {
    host: values['httpHost'] as string | undefined,
    port: values['httpPort'] as number | undefined,
    tokens: Object.keys(tokens).length === 0 ? undefined : tokens,
    tls: readFiles(values, HTTP_FILES),
  }
}

function readText(what: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw usageError(`${what} can't be read: ${(error as Error).message}`)
  }
}

/** A node speaks of its options as `open` takes them; whoever types has flags. */
export function withFlags(sentence: string): string {
  const plain = sentence
    .replace(/\b(bootstrap|insecure): true/, '--$1')
    .replace("join: ['host:port']", '--join host:port')
    .replace(/\b(bind|advertise): 'host:port'/, '--$1 host:port')
    .replace('pass secret (', 'pass --secret-file (')
    .replace('or tls (', 'or --tls-ca, --tls-cert and --tls-key (')
    .replace(
      /^secret and tls are/,
      '--secret (or its file) and --tls-ca with what goes with it are',
    )
    .replace(/takeOver: '([^']*)'/, '--backup-take-over $1')
    .replace(/acceptLoss: '([^']*)'/, '--accept-loss $1')
    .replace('its own acceptLoss', 'its own --accept-loss')
    .replace(/^tls has no key and certificate/, '--http-cert and --http-key hold none')
    .replace(/(is no PEM); pass what the file holds, not its name.*/, '$1')
    .replace(/\btls\.(ca|cert|key)\b/g, 'the file of --tls-$1')
    .replace('as nodeId:', 'as --node-id:')
    .replace('too long for electionTimeoutMs', 'too long for --election-timeout-ms')
  const named = SETTINGS.find(({ key }) => plain.startsWith(`${key} `))
  return named === undefined
    ? plain
    : plain.replace(named.key, flagOf(named).split(' ')[0] as string)
}
