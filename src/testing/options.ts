import {
  ColmenaError,
  isColmenaError,
  type Migration,
  type OpenOptions,
  type WaitOptions,
} from '../index.ts'

type Decided =
  | 'dataDir'
  | 'nodeId'
  | 'bind'
  | 'advertise'
  | 'bootstrap'
  | 'restore'
  | 'join'
  | 'expectedVoters'
  | 'discoveryWindowMs'
  | 'joinAs'
  | 'acceptLoss'
  | 'secret'
  | 'tls'
  | 'insecure'

/** What these functions decide themselves, and why. */
export const DECIDED: Readonly<Record<Decided, string>> = {
  dataDir: 'the data is in a folder of its own, which is removed in the end',
  nodeId: 'nodes are called node-1, node-2 and so on',
  bind: 'ports are chosen where there is a network',
  advertise: 'ports are chosen where there is a network',
  bootstrap: 'the first node begins a new cluster',
  restore: 'a test begins with what its migrations make',
  join: 'the other nodes join the first one',
  expectedVoters: 'the first node begins a new cluster',
  discoveryWindowMs: 'the first node begins a new cluster',
  joinAs: 'pass it to addNode',
  acceptLoss: 'the data is in a folder of its own, which is removed in the end',
  secret: 'who dials whom is read off what nodes say in plain text, on loopback alone',
  tls: 'who dials whom is read off what nodes say in plain text, on loopback alone',
  insecure: 'nothing leaves loopback',
}

/** A list is for the database `main`; else each list is for the database that it is called by. */
export type TestMigrations = readonly Migration[] | Readonly<Record<string, readonly Migration[]>>

/** What `createTestNode` takes: of `open`, all that does not say where and with whom. */
export interface TestNodeOptions extends Omit<OpenOptions, Decided> {
  /** They have run, as by `node.migrate`, before it resolves. @defaultValue none */
  readonly migrations?: TestMigrations | undefined
}

/** What `createTestCluster` takes: each node is opened with the options of `open`. */
export interface TestClusterOptions extends TestNodeOptions {
  /** How many there are at first, 1 to 15. @defaultValue 3 */
  readonly nodes?: number | undefined
  /** How long creating it may take, in milliseconds. @defaultValue 30000 */
  readonly timeoutMs?: number | undefined
}

/** What `addNode` takes beside how long it may take. */
export interface AddNodeOptions extends WaitOptions {
  /** As of `open`. @defaultValue 'voter' */
  readonly joinAs?: 'voter' | 'learner' | undefined
}

/** The log waits for no disk, and its files are small; nobody else needs what it held. */
export const NODE_DEFAULTS: Omit<OpenOptions, Decided> = {
  durability: 'relaxed',
  logSegmentBytes: 65_536,
  logRetainBytes: 0,
}

/**
 * A leader that is cut off is replaced within a second, also on a machine that is busy. As for the
 * rest they are as in earnest: they wait for their disks, so that a kill takes what it would take.
 */
export const CLUSTER_DEFAULTS: Omit<OpenOptions, Decided> = {
  heartbeatMs: 50,
  electionTimeoutMs: 300,
  requestTimeoutMs: 3_000,
  logSegmentBytes: 262_144,
  logRetainBytes: 1_048_576,
}

export const NODES_MAX = 15
const OPEN_TIMEOUT_MS = 30_000
const WAIT_TIMEOUT_MS = 10_000
const TIMER_MS_MAX = 0x7fff_ffff

/** A wait after checking. */
export interface Wait {
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
}

/** What each database has run, by its name. */
export type MigrationsByName = ReadonlyMap<string, readonly Migration[]>

export interface NodeConfig {
  readonly migrations: MigrationsByName
  readonly opened: Omit<OpenOptions, Decided>
}

/** @throws ColmenaError ERR_INVALID_OPTION; `open` judges its own. */
export function toNodeConfig(options: TestNodeOptions): NodeConfig {
  checkDecided(options, 'createTestNode')
  const { migrations, ...opened } = options
  return {
    migrations: toMigrations(migrations),
    opened: { ...NODE_DEFAULTS, ...withoutUndefined(opened) },
  }
}

export interface ClusterConfig {
  readonly count: number
  readonly wait: Wait
  readonly migrations: MigrationsByName
  /** What every node is opened with; `signal` is that of the creation alone. */
  readonly shared: Omit<OpenOptions, Decided | 'signal'>
}

/** @throws ColmenaError ERR_INVALID_OPTION; `open` judges its own. */
export function toClusterConfig(options: TestClusterOptions): ClusterConfig {
  checkDecided(options, 'createTestCluster')
  const { nodes = 3, timeoutMs = OPEN_TIMEOUT_MS, signal, migrations, ...shared } = options
  return {
    count: checkWhole('nodes', nodes, NODES_MAX, invalidOption),
    wait: {
      timeoutMs: checkWhole('timeoutMs', timeoutMs, TIMER_MS_MAX, invalidOption),
      signal: checkSignal(signal, invalidOption),
    },
    migrations: toMigrations(migrations),
    shared: { ...CLUSTER_DEFAULTS, ...withoutUndefined(shared) },
  }
}

/** The options of a call that waits. @throws ColmenaError ERR_INVALID_ARGUMENT */
export function toWait(options: WaitOptions, of: string, more: readonly string[] = []): Wait {
  const known = ['timeoutMs', 'signal', ...more]
  if (typeof options !== 'object' || options === null) {
    throw invalidArgument(`the options of ${of} are an object, not ${show(options)}`)
  }
  const unknown = Object.keys(options).find((key) => !known.includes(key))
  if (unknown !== undefined) {
    throw invalidArgument(`${of} has no option '${unknown}'; it has ${known.join(', ')}`)
  }
  const { timeoutMs = of === 'addNode' ? OPEN_TIMEOUT_MS : WAIT_TIMEOUT_MS, signal } = options
  return {
    timeoutMs: checkWhole('timeoutMs', timeoutMs, TIMER_MS_MAX, invalidArgument),
    signal: checkSignal(signal, invalidArgument),
  }
}

export function invalidArgument(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_ARGUMENT', message)
}

/** Any value as an error shows it: short, on one line, and without running its code. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 100))
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'object' && value !== null) {
    return Array.isArray(value) ? 'an array' : 'an object'
  }
  return typeof value === 'function' ? 'a function' : String(value)
}

function invalidOption(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_OPTION', message)
}

function checkDecided(options: unknown, of: string): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalidOption(`the options of ${of} are an object, not ${show(options)}`)
  }
  for (const [key, reason] of Object.entries(DECIDED)) {
    if ((options as Readonly<Record<string, unknown>>)[key] === undefined) continue
    throw invalidOption(`${of} has no option '${key}': ${reason}`)
  }
}

/** `open` knows its own options only, and takes a misspelt one of ours for one of its own. */
export function withOwnOptions(error: unknown, own: string): unknown {
  if (!isColmenaError(error) || !error.message.startsWith('unknown option')) return error
  return new ColmenaError(error.code, `${error.message} (${own})`, { cause: error })
}

/** `migrate` judges the lists. */
function toMigrations(given: TestMigrations = []): MigrationsByName {
  if (Array.isArray(given)) return new Map([['main', given]])
  if (typeof given === 'object' && given !== null) return new Map(Object.entries(given))
  throw invalidOption(
    `migrations is ${show(given)}; it must be a list, or an object with a list for each database`,
  )
}

/** What was passed as undefined was not passed: it must not take the place of a default. */
function withoutUndefined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}

function checkWhole(
  name: string,
  value: unknown,
  most: number,
  invalid: (message: string) => ColmenaError,
): number {
  if (Number.isInteger(value) && Number(value) >= 1 && Number(value) <= most) return Number(value)
  throw invalid(`${name} is ${show(value)}; it must be a whole number from 1 to ${most}`)
}

function checkSignal(
  signal: unknown,
  invalid: (message: string) => ColmenaError,
): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal
  throw invalid(`signal is ${show(signal)}; it must be an AbortSignal`)
}
