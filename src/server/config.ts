import type { Backup } from '../backup/backup.ts'
import { ColmenaError, type Logger } from '../index.ts'
import type { Jobs } from '../jobs/jobs.ts'
import { isLoopbackHost } from './hosts.ts'
import {
  type HandlerOptions,
  type Right,
  SERVER_OPTION_DEFAULTS,
  type ServerOptions,
  type TlsOptions,
} from './options.ts'
import { createTokenReader, RIGHTS } from './rights.ts'

/** {@link HandlerOptions} after checking, complete. */
export interface HandlerConfig {
  /** '' or `/…`, without a slash at its end. */
  readonly basePath: string
  readonly authorize: (request: Request) => Right | null | Promise<Right | null>
  /** Whether only requests to a loopback name are heard: a site's own name may lead here. */
  readonly isLocalOnly: boolean
  /** Whose pages else may call and read what is answered. */
  readonly origins: ReadonlySet<string>
  /** False where a token is needed, which no browser sends by itself. */
  readonly refusesForeignPages: boolean
  readonly bodyBytesMax: number
  readonly bodiesBytesMax: number
  readonly eventClientsMax: number
  readonly eventQueueBytesMax: number
  readonly eventHeartbeatMs: number
  readonly idleTimeoutMs: number
  /** null where this server has none to show. */
  readonly jobs: Jobs | null
  /** null where this server has none to show. */
  readonly backup: Backup | null
  readonly logger: Logger
}

/** {@link ServerOptions} after checking, complete. */
export interface ServerConfig extends HandlerConfig {
  readonly host: string
  readonly port: number
  readonly tls: TlsOptions | null
  readonly headersTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly connectionsMax: number
  readonly closeTimeoutMs: number
}

type Options = Readonly<Record<string, unknown>>
type Common = Omit<
  HandlerConfig,
  'basePath' | 'authorize' | 'isLocalOnly' | 'origins' | 'refusesForeignPages'
>

const TIMER_MS_MAX = 0x7fff_ffff
const SERVER_KEYS = Object.keys(SERVER_OPTION_DEFAULTS)
const SERVER_ONLY: ReadonlySet<string> = new Set([
  'host',
  'port',
  'tokens',
  'tls',
  'headersTimeoutMs',
  'requestTimeoutMs',
  'connectionsMax',
  'closeTimeoutMs',
])
const HANDLER_KEYS = [
  'basePath',
  'authorize',
  ...SERVER_KEYS.filter((key) => !SERVER_ONLY.has(key)),
]

/** @throws ColmenaError ERR_INVALID_OPTION */
export function checkHandlerOptions(input: HandlerOptions): HandlerConfig {
  const options = checkObject(input, 'createHandler')
  checkKeys(options, HANDLER_KEYS, 'createHandler')
  const { authorize } = input
  if (typeof authorize !== 'function') {
    throw invalid(
      'authorize is missing: it says what the sender of a request may do. Where the application ' +
        "has asked for a login before, authorize: () => 'admin' lets all through",
    )
  }
  return Object.freeze({
    ...checkCommon(options),
    basePath: checkBasePath(options['basePath']),
    authorize,
    isLocalOnly: false,
    origins: checkOrigins(options['origins']),
    refusesForeignPages: true,
  })
}

/** @throws ColmenaError ERR_INVALID_OPTION or ERR_WEAK_SECRET */
export function checkServerOptions(input: ServerOptions): ServerConfig {
  const options = checkObject(input, 'createServer')
  checkKeys(options, SERVER_KEYS, 'createServer')
  return Object.freeze({
    ...checkCommon(options),
    ...checkAccess(options),
    basePath: '',
    port: checkInteger(options, 'port', 0, 65_535),
    tls: checkTls(options['tls']),
    ...checkPatience(options),
    connectionsMax: checkInteger(options, 'connectionsMax', 1, Number.MAX_SAFE_INTEGER),
    closeTimeoutMs: checkInteger(options, 'closeTimeoutMs', 0, TIMER_MS_MAX),
  })
}

function checkPatience(
  options: Options,
): Pick<ServerConfig, 'headersTimeoutMs' | 'requestTimeoutMs'> {
  const headersTimeoutMs = checkInteger(options, 'headersTimeoutMs', 1, TIMER_MS_MAX)
  const requestTimeoutMs = checkInteger(options, 'requestTimeoutMs', 1, TIMER_MS_MAX)
  if (headersTimeoutMs <= requestTimeoutMs) return { headersTimeoutMs, requestTimeoutMs }
  throw invalid(
    `headersTimeoutMs ${headersTimeoutMs} is more than requestTimeoutMs ${requestTimeoutMs}: the ` +
      'head is a part of the request',
  )
}

type Access = Pick<
  ServerConfig,
  'host' | 'authorize' | 'isLocalOnly' | 'origins' | 'refusesForeignPages'
>

/** Either everyone shows a token, or nobody from elsewhere can come. */
function checkAccess(options: Options): Access {
  const host = options['host'] ?? SERVER_OPTION_DEFAULTS.host
  if (typeof host !== 'string' || host === '') {
    throw invalid(`host is ${show(host)}; it must be an address, such as '0.0.0.0'`)
  }
  const origins = checkOrigins(options['origins'])
  const tokens = options['tokens']
  if (tokens !== undefined) {
    const authorize = createTokenReader(checkTokens(tokens))
    return { host, authorize, isLocalOnly: false, origins, refusesForeignPages: false }
  }
  if (!isLoopbackHost(host)) {
    throw invalid(
      `host '${host}' can be reached from other machines, and there are no tokens: pass tokens, ` +
        "such as { [process.env.TOKEN]: 'admin' }, or listen on 127.0.0.1",
    )
  }
  return { host, authorize: () => 'admin', isLocalOnly: true, origins, refusesForeignPages: true }
}

function checkTokens(tokens: unknown): Readonly<Record<string, Right>> {
  const entries = isRecord(tokens) ? Object.entries(tokens) : []
  if (entries.length === 0) throw invalid("tokens must be an object such as { '<token>': 'read' }")
  for (const [, right] of entries) {
    if (RIGHTS.includes(right as Right)) continue
    throw invalid(`a token has the right ${show(right)}; it must be one of ${RIGHTS.join(', ')}`)
  }
  return tokens as Readonly<Record<string, Right>>
}

function checkCommon(options: Options): Common {
  const most = Number.MAX_SAFE_INTEGER
  const bodyBytesMax = checkInteger(options, 'bodyBytesMax', 1, 2 ** 29)
  const bodiesBytesMax = checkInteger(options, 'bodiesBytesMax', 1, most)
  if (bodiesBytesMax < bodyBytesMax) {
    throw invalid(
      `bodiesBytesMax ${bodiesBytesMax} is less than bodyBytesMax ${bodyBytesMax}: all bodies ` +
        'together must have room for one',
    )
  }
  return {
    bodyBytesMax,
    bodiesBytesMax,
    eventClientsMax: checkInteger(options, 'eventClientsMax', 0, most),
    eventQueueBytesMax: checkInteger(options, 'eventQueueBytesMax', 1_024, most),
    eventHeartbeatMs: checkInteger(options, 'eventHeartbeatMs', 1, TIMER_MS_MAX),
    idleTimeoutMs: checkInteger(options, 'idleTimeoutMs', 1, TIMER_MS_MAX),
    jobs: checkJobs(options['jobs']),
    backup: checkBackup(options['backup']),
    logger: checkLogger(options['logger']),
  }
}

function checkBasePath(basePath: unknown): string {
  if (basePath === undefined || basePath === '' || basePath === '/') return ''
  if (typeof basePath === 'string' && /^(\/[\w.~-]+)+\/?$/.test(basePath)) {
    return basePath.replace(/\/$/, '')
  }
  throw invalid(`basePath is ${show(basePath)}; it must be a path such as '/colmena'`)
}

function checkOrigins(origins: unknown): ReadonlySet<string> {
  if (origins === undefined) return new Set()
  if (!Array.isArray(origins)) throw invalid('origins must be a list such as [https://app.example]')
  for (const origin of origins) {
    if (typeof origin === 'string' && URL.parse(origin)?.origin === origin) continue
    throw invalid(`origins has ${show(origin)}; an origin is as 'https://app.example', no more`)
  }
  return new Set(origins)
}

/** @throws ColmenaError ERR_INVALID_OPTION */
export function checkTls(tls: unknown): TlsOptions | null {
  if (tls === undefined) return null
  const isPem = (value: unknown): boolean =>
    typeof value === 'string' || value instanceof Uint8Array
  if (isRecord(tls) && isPem(tls['key']) && isPem(tls['cert'])) {
    checkKeys(tls, ['key', 'cert'], 'tls')
    return tls as unknown as TlsOptions
  }
  throw invalid('tls must be { key, cert }, each the text or bytes of a PEM file')
}

function checkJobs(jobs: unknown): Jobs | null {
  if (jobs === undefined) return null
  const methods = ['list', 'stats', 'metrics'] as const
  if (isRecord(jobs) && methods.every((name) => typeof jobs[name] === 'function')) {
    return jobs as unknown as Jobs
  }
  throw invalid("jobs must be what createJobs of 'colmena/jobs' gave")
}

function checkBackup(backup: unknown): Backup | null {
  if (backup === undefined) return null
  const methods = ['status', 'sync', 'verify'] as const
  if (isRecord(backup) && methods.every((name) => typeof backup[name] === 'function')) {
    return backup as unknown as Backup
  }
  throw invalid("backup must be what startBackup of 'colmena/backup' gave")
}

function checkLogger(logger: unknown): Logger {
  if (logger === undefined) return {}
  if (isRecord(logger)) return logger as Logger
  throw invalid('logger must be an object with any of debug, info, warn, error')
}

function checkInteger(
  options: Options,
  key: keyof ServerOptions,
  min: number,
  max: number,
): number {
  const value = options[key] ?? SERVER_OPTION_DEFAULTS[key]
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
    return value as number
  }
  throw invalid(`${key} is ${show(value)}; it must be a whole number from ${min} to ${max}`)
}

function checkObject(options: unknown, of: string): Options {
  if (isRecord(options)) return options
  throw invalid(`${of} takes an object of options`)
}

function checkKeys(options: object, known: readonly string[], of: string): void {
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue
    throw invalid(`unknown option '${key}' of ${of}; known are ${known.join(', ')}`)
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function show(value: unknown): string {
  if (value === undefined) return 'missing'
  return typeof value === 'string' ? `'${value.slice(0, 60)}'` : String(value).slice(0, 60)
}

function invalid(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_OPTION', message)
}
