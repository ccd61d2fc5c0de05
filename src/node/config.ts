import { resolve } from 'node:path'
import { ColmenaError } from '../base/errors.ts'
import type { Extension } from '../sqlite/sqlite.ts'
import { formatHostPort, type HostPort, isLoopback, isWildcard, parseHostPort } from './address.ts'
import { CONSISTENCY_LEVELS, type Consistency } from './consistency.ts'
import { checkExtensions } from './extension-options.ts'
import { toLogger } from './logging.ts'
import { checkKeys, nearestName } from './nearest.ts'
import { type JoinSource, type Logger, OPTION_DEFAULTS, type OpenOptions } from './options.ts'

/** {@link OpenOptions} after checking, complete; no other file reads the raw ones. */
export interface OpenConfig {
  /** undefined: the one kept in the data directory, or a made-up one. */
  readonly nodeId: string | undefined
  /** Absolute. */
  readonly dataDir: string
  readonly bind: HostPort | null
  /** '' without network. */
  readonly advertise: string
  /** undefined: neither was asked for, which only does where state exists. */
  readonly genesis: 'bootstrap' | 'join' | undefined
  readonly joinAddresses: readonly string[]
  readonly joinSource: JoinSource | undefined
  /** undefined: this node never begins a cluster with others. */
  readonly expectedVoters: number | undefined
  readonly discoveryWindowMs: number
  readonly ifRemoved: 'fail' | 'rejoin'
  readonly joinAs: 'voter' | 'learner'
  readonly consistency: Consistency
  readonly strongReads: 'majority' | 'lease'
  readonly durability: 'full' | 'relaxed'
  readonly acceptLoss: string | undefined
  readonly nonDeterminism: 'freeze' | 'reject'
  readonly heartbeatMs: number
  readonly electionTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly statementTimeoutMs: number
  readonly transactionIdleMs: number
  readonly transactionMs: number
  readonly maxClockSkewMs: number
  readonly slowMs: number
  readonly changesBytesMax: number
  readonly joinTimeoutMs: number
  readonly logRetainBytes: number
  readonly logSegmentBytes: number
  readonly snapshotBytesPerSecond: number
  /** Newest first; empty for plaintext. */
  readonly secrets: readonly string[]
  /** Absolute paths; in the order of loading. */
  readonly extensions: readonly Extension[]
  readonly logger: Logger
  readonly signal: AbortSignal | undefined
}

type Key = keyof OpenOptions

const KEYS = Object.keys(OPTION_DEFAULTS) as readonly Key[]
const SECRET_BYTES_MIN = 16
const TIMER_MS_MAX = 0x7fff_ffff
const LOGGER_METHODS = ['debug', 'info', 'warn', 'error'] as const

/**
 * Turns what a caller passed to `open` into a config, before anything is touched.
 *
 * @throws ColmenaError ERR_INVALID_OPTION or ERR_WEAK_SECRET, naming option, value and remedy.
 */
export function checkOpenOptions(options: unknown): OpenConfig {
  if (!isRecord(options)) {
    throw invalid(`open needs an object of options, such as { dataDir: './data' }`)
  }
  checkKeys(options, KEYS, invalid)
  const heartbeatMs = checkInteger(options, 'heartbeatMs', 1, TIMER_MS_MAX)
  const electionTimeoutMs = checkInteger(options, 'electionTimeoutMs', 3, TIMER_MS_MAX)
  if (heartbeatMs * 3 > electionTimeoutMs) {
    throw invalid(
      `heartbeatMs ${heartbeatMs} is too long for electionTimeoutMs ${electionTimeoutMs}: three ` +
        'heartbeats must fit in, or one that is late would look like a lost leader',
    )
  }
  const network = checkNetwork(options)
  return Object.freeze({
    nodeId: checkNodeId(options['nodeId']),
    dataDir: checkDataDir(options['dataDir']),
    ...network,
    expectedVoters: checkExpected(options, network.genesis),
    discoveryWindowMs: checkInteger(options, 'discoveryWindowMs', 50, TIMER_MS_MAX),
    ifRemoved: checkChoice(options, 'ifRemoved', ['fail', 'rejoin'] as const),
    joinAs: checkChoice(options, 'joinAs', ['voter', 'learner'] as const),
    consistency: checkChoice(options, 'consistency', CONSISTENCY_LEVELS),
    strongReads: checkChoice(options, 'strongReads', ['majority', 'lease'] as const),
    durability: checkChoice(options, 'durability', ['full', 'relaxed'] as const),
    acceptLoss: checkAcceptLoss(options['acceptLoss']),
    nonDeterminism: checkChoice(options, 'nonDeterminism', ['freeze', 'reject'] as const),
    heartbeatMs,
    electionTimeoutMs,
    requestTimeoutMs: checkInteger(options, 'requestTimeoutMs', 1, TIMER_MS_MAX),
    statementTimeoutMs: checkInteger(options, 'statementTimeoutMs', 1, TIMER_MS_MAX),
    transactionIdleMs: checkInteger(options, 'transactionIdleMs', 1, TIMER_MS_MAX),
    transactionMs: checkInteger(options, 'transactionMs', 1, TIMER_MS_MAX),
    maxClockSkewMs: checkInteger(options, 'maxClockSkewMs', 1, Number.MAX_SAFE_INTEGER),
    slowMs: checkInteger(options, 'slowMs', 1, TIMER_MS_MAX),
    changesBytesMax: checkInteger(options, 'changesBytesMax', 2 ** 16, 2 ** 28),
    joinTimeoutMs: checkInteger(options, 'joinTimeoutMs', 1, TIMER_MS_MAX),
    logRetainBytes: checkInteger(options, 'logRetainBytes', 0, Number.MAX_SAFE_INTEGER),
    logSegmentBytes: checkInteger(options, 'logSegmentBytes', 65_536, 2 ** 30),
    snapshotBytesPerSecond: checkInteger(options, 'snapshotBytesPerSecond', 2 ** 20, 2 ** 40),
    extensions: checkExtensions(options['extensions']),
    logger: checkLogger(options['logger']),
    signal: checkSignal(options['signal']),
  })
}

function checkNodeId(nodeId: unknown): string | undefined {
  if (nodeId === undefined) return undefined
  if (typeof nodeId === 'string' && /^[^\s\p{C}]{1,128}$/u.test(nodeId)) return nodeId
  throw invalid(`nodeId is ${show(nodeId)}; it must be 1 to 128 characters without spaces`)
}

function checkAcceptLoss(token: unknown): string | undefined {
  if (token === undefined || (typeof token === 'string' && /^[0-9a-f]{12}-\d+$/.test(token))) {
    return token
  }
  throw invalid(
    `acceptLoss is ${show(token)}; it must be what ERR_UNCLEAN_STOP of this node names, such ` +
      "as '0123456789ab-7'",
  )
}

function checkDataDir(dataDir: unknown): string {
  if (typeof dataDir === 'string' && dataDir !== '' && !dataDir.includes('\0')) {
    return resolve(dataDir)
  }
  throw invalid(
    `dataDir is ${show(dataDir)}; it must be the path of a directory, such as './data' ` +
      '(it is made if it is missing)',
  )
}

type Network = Pick<
  OpenConfig,
  'bind' | 'advertise' | 'genesis' | 'joinAddresses' | 'joinSource' | 'secrets'
>

function checkNetwork(options: Record<string, unknown>): Network {
  const secrets = checkSecrets(options['secret'])
  const insecure = checkBoolean(options, 'insecure') ?? false
  const bootstrap = checkBoolean(options, 'bootstrap')
  const { join } = options
  const joinSource = typeof join === 'function' ? (join as JoinSource) : undefined
  const joinAddresses = joinSource === undefined ? checkJoin(join) : []
  if (bootstrap === true && join !== undefined) {
    throw invalid(
      'bootstrap begins a new cluster and join enters one that exists: pass one of them, ' +
        'bootstrap on the first node and join on the others',
    )
  }
  const ways = { joinAddresses, joinSource, secrets }
  if (options['bind'] === undefined) {
    checkNoNetwork(options)
    return { bind: null, advertise: '', genesis: 'bootstrap', ...ways }
  }
  const bind = parseHostPort(options['bind'], 'bind')
  checkReach(bind, secrets, insecure)
  const genesis = bootstrap ? 'bootstrap' : join === undefined ? undefined : 'join'
  return { bind, advertise: checkAdvertise(options, bind), genesis, ...ways }
}

function checkExpected(
  options: Record<string, unknown>,
  genesis: OpenConfig['genesis'],
): number | undefined {
  if (options['expectedVoters'] === undefined) return undefined
  if (genesis === 'join') return checkInteger(options, 'expectedVoters', 1, 1000)
  throw invalid(
    'expectedVoters lets nodes that find each other through join begin a cluster: pass join as ' +
      'well, on all of them, and no bootstrap',
  )
}

function checkNoNetwork(options: Record<string, unknown>): void {
  const needless = (['advertise', 'join'] as const).find((name) => options[name] !== undefined)
  if (needless === undefined) return
  throw invalid(`${needless} is of use only with bind: pass bind: 'host:port' to listen on as well`)
}

function checkReach(bind: HostPort, secrets: readonly string[], insecure: boolean): void {
  if (secrets.length > 0 || insecure || isLoopback(bind.host)) return
  throw invalid(
    `bind '${formatHostPort(bind)}' can be reached from other machines, and there is no secret: ` +
      'pass secret (at least 16 random bytes, the same on all nodes), or, if everyone who ' +
      'reaches that port may own the data, insecure: true',
  )
}

function checkAdvertise(options: Record<string, unknown>, bind: HostPort): string {
  if (options['advertise'] !== undefined) {
    const advertise = parseHostPort(options['advertise'], 'advertise')
    if (!isWildcard(advertise.host)) return formatHostPort(advertise)
    throw invalid(`advertise '${formatHostPort(advertise)}' is no address that peers could dial`)
  }
  if (!isWildcard(bind.host)) return formatHostPort(bind)
  throw invalid(
    `bind '${formatHostPort(bind)}' means every interface, so peers would not know what to dial: ` +
      "pass advertise: 'host:port' as well",
  )
}

function checkJoin(join: unknown): readonly string[] {
  if (join === undefined) return []
  const addresses = typeof join === 'string' ? [join] : join
  if (!Array.isArray(addresses) || addresses.length === 0) {
    throw invalid(
      `join is ${show(join)}; it must be an address, a list of at least one, or a function that ` +
        'resolves to one',
    )
  }
  return addresses.map((address) => formatHostPort(parseHostPort(address, 'join')))
}

function checkSecrets(secret: unknown): readonly string[] {
  if (secret === undefined) return []
  const secrets: unknown = typeof secret === 'string' ? [secret] : secret
  if (!Array.isArray(secrets) || secrets.length === 0 || !secrets.every(isString)) {
    throw invalid('secret must be a string, or a list of at least one, newest first')
  }
  for (const one of secrets) {
    const sizeBytes = Buffer.byteLength(one)
    if (sizeBytes >= SECRET_BYTES_MIN) continue
    throw new ColmenaError(
      'ERR_WEAK_SECRET',
      `a secret of ${sizeBytes} bytes can be guessed: pass at least ${SECRET_BYTES_MIN} random ` +
        "bytes, such as those of crypto.randomBytes(24).toString('base64')",
    )
  }
  return Object.freeze([...secrets])
}

function checkLogger(logger: unknown): Logger {
  if (logger === undefined) return {}
  if (!isRecord(logger)) throw invalid('logger must be an object with debug, info, warn, error')
  for (const method of LOGGER_METHODS) {
    if (logger[method] === undefined || typeof logger[method] === 'function') continue
    throw invalid(`logger.${method} is ${show(logger[method])}; it must be a function`)
  }
  return toLogger(logger as Logger)
}

function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal
  throw invalid(`signal is ${show(signal)}; it must be an AbortSignal`)
}

function checkBoolean(options: Record<string, unknown>, key: Key): boolean | undefined {
  const value = options[key]
  if (value === undefined || typeof value === 'boolean') return value
  throw invalid(`${key} is ${show(value)}; it must be true or false`)
}

function checkInteger(
  options: Record<string, unknown>,
  key: Key,
  min: number,
  max: number,
): number {
  const value = options[key] ?? OPTION_DEFAULTS[key]
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
    return value as number
  }
  throw invalid(`${key} is ${show(value)}; it must be a whole number from ${min} to ${max}`)
}

function checkChoice<Choice extends string>(
  options: Record<string, unknown>,
  key: Key,
  choices: readonly Choice[],
): Choice {
  const value = options[key] ?? OPTION_DEFAULTS[key]
  if (choices.includes(value as Choice)) return value as Choice
  const list = choices.map((choice) => `'${choice}'`).join(', ')
  const nearest = typeof value === 'string' ? nearestName(value, choices) : undefined
  const hint = nearest === undefined ? '' : ` (is '${nearest}' meant?)`
  throw invalid(`${key} is ${show(value)}; it must be one of ${list}${hint}`)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isString(value: unknown): value is string {
  return typeof value === 'string'
}

/** The value as a message can show it: short, and never throwing. */
function show(value: unknown): string {
  if (value === undefined) return 'missing'
  const text =
    typeof value === 'string'
      ? `'${value}'`
      : String(Object(value) === value ? typeof value : value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

function invalid(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_OPTION', message)
}
