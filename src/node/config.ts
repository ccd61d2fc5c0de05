import { resolve } from 'node:path'
import type { Extension } from '../sqlite/sqlite.ts'
import { CONSISTENCY_LEVELS, type Consistency } from './consistency.ts'
import { checkExtensions } from './extension-options.ts'
import { toLogger } from './logging.ts'
import { checkKeys } from './nearest.ts'
import { checkNetwork, type NetworkConfig } from './network-options.ts'
import {
  checkChoice,
  checkInteger,
  invalid,
  isRecord,
  show,
  TIMER_MS_MAX,
} from './option-checks.ts'
import { type Logger, OPTION_DEFAULTS, type OpenOptions } from './options.ts'
import { checkOpenRestore, type RestoreConfig } from './restore-options.ts'

/** {@link OpenOptions} after checking, complete; no other file reads the raw ones. */
export interface OpenConfig extends NetworkConfig {
  /** undefined: the one kept in the data directory, or a made-up one. */
  readonly nodeId: string | undefined
  /** Absolute. */
  readonly dataDir: string
  readonly restore: RestoreConfig | undefined
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
  /** Absolute paths; in the order of loading. */
  readonly extensions: readonly Extension[]
  readonly logger: Logger
  readonly signal: AbortSignal | undefined
}

type Key = keyof OpenOptions

const KEYS = Object.keys(OPTION_DEFAULTS) as readonly Key[]
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
    restore: checkOpenRestore(options['restore'], network),
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
