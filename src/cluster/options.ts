import { ColmenaError, type Consistency, type OpenOptions } from '../index.ts'
import type { Policy } from './policy.ts'

/** What a cluster that forms itself takes beside what `open` takes. */
export interface ClusterOptions {
  /**
   * How many members should vote: 1, 3 or 5. The others are learners, and take a vote over where
   * one is lost. The same on all nodes.
   *
   * @defaultValue 3
   */
  readonly voterTarget?: number | undefined
  /**
   * After so long a silence a voter loses its vote to a learner, in milliseconds; 0: never.
   *
   * @defaultValue 300000
   */
  readonly deadVoterTimeoutMs?: number | undefined
  /**
   * After so long a silence a learner is removed, if discovery does not find it either, in
   * milliseconds; 0: never.
   *
   * @defaultValue 86400000
   */
  readonly deadLearnerTimeoutMs?: number | undefined
  /**
   * How often the leader looks after the members, in milliseconds.
   *
   * @defaultValue 1000
   */
  readonly stewardMs?: number | undefined
  /**
   * Called when the cluster has removed this node while it ran, and it has closed: started anew it
   * joins anew, by itself.
   *
   * @defaultValue nothing is done; on Fly.io the process exits with code 1, to be started again
   */
  readonly onSelfHeal?: ((cause: unknown) => void) | undefined
}

/** Of `open`: all but what a cluster that forms itself decides by itself. */
export type PassedOptions = Omit<OpenOptions, 'bootstrap' | 'join' | 'joinAs'>

/** Where a node listens that is not told where. */
export const PORT = 9000

/** What differs from one way of forming to another. */
export interface ClusterDefaults {
  readonly deadVoterTimeoutMs: number
  /** null: as for voters. */
  readonly deadLearnerTimeoutMs: number | null
  readonly discoveryWindowMs: number
  readonly consistency: Consistency
  readonly expectedVoters: (voterTarget: number) => number
  readonly onSelfHeal?: (() => void) | undefined
}

/** What {@link ClusterOptions} become, apart from what goes on to `open`. */
export interface ClusterConfig {
  readonly policy: Policy
  readonly stewardMs: number
  readonly onSelfHeal: ((cause: unknown) => void) | undefined
  readonly open: PassedOptions
}

/** Of a first start; one that waits for others is no failure. */
const JOIN_TIMEOUT_MS = 600_000
const STEWARD_MS = 1_000
const TIMER_MS_MAX = 0x7fff_ffff
const DECIDED = ['bootstrap', 'join', 'joinAs'] as const
/** Every key of {@link ClusterOptions}; the compiler holds it against them. */
const CLUSTER_KEYS: Readonly<Record<keyof ClusterOptions, true>> = {
  voterTarget: true,
  deadVoterTimeoutMs: true,
  deadLearnerTimeoutMs: true,
  stewardMs: true,
  onSelfHeal: true,
}
export const CLUSTER_OPTIONS: readonly string[] = Object.keys(CLUSTER_KEYS)

/** @throws ColmenaError ERR_INVALID_OPTION */
export function toClusterConfig(
  options: ClusterOptions & PassedOptions,
  defaults: ClusterDefaults,
): ClusterConfig {
  for (const name of DECIDED) {
    if ((options as OpenOptions)[name] === undefined) continue
    throw invalidOption(`${name} is not for a cluster that forms itself: leave it out`)
  }
  const { voterTarget = 3, deadVoterTimeoutMs, deadLearnerTimeoutMs, ...others } = options
  const { stewardMs = STEWARD_MS, onSelfHeal = defaults.onSelfHeal, ...rest } = others
  const voterMs = deadVoterTimeoutMs ?? defaults.deadVoterTimeoutMs
  const learnerMs = deadLearnerTimeoutMs ?? defaults.deadLearnerTimeoutMs ?? voterMs
  const policy = {
    voterTarget: checkVoterTarget(voterTarget),
    deadVoterTimeoutMs: checkWhole('deadVoterTimeoutMs', voterMs, 0, TIMER_MS_MAX),
    deadLearnerTimeoutMs: checkWhole('deadLearnerTimeoutMs', learnerMs, 0, TIMER_MS_MAX),
  }
  const open = {
    ...rest,
    expectedVoters: rest.expectedVoters ?? defaults.expectedVoters(voterTarget),
    discoveryWindowMs: rest.discoveryWindowMs ?? defaults.discoveryWindowMs,
    joinTimeoutMs: rest.joinTimeoutMs ?? JOIN_TIMEOUT_MS,
    ifRemoved: rest.ifRemoved ?? 'rejoin',
    consistency: rest.consistency ?? defaults.consistency,
  } as const
  checkWhole('stewardMs', stewardMs, 10, 60_000)
  if (onSelfHeal !== undefined && typeof onSelfHeal !== 'function') {
    throw invalidOption(`onSelfHeal is ${String(onSelfHeal)}; it must be a function`)
  }
  return { policy, stewardMs, onSelfHeal, open }
}

/** An even number bears no more failures than the odd one below it. */
function checkVoterTarget(voterTarget: unknown): number {
  const count = checkWhole('voterTarget', voterTarget, 1, 9)
  if (count % 2 === 1) return count
  throw invalidOption(
    `voterTarget is ${count}; it must be odd, since ${count} voters bear no more failures than ` +
      `${count - 1}`,
  )
}

/** What takes them is called by programs that no compiler has seen, too. */
export function checkObject<T extends object>(options: T, of: string): T {
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return options
  throw invalidOption(`${of} needs an object of options, such as { dataDir: './data' }`)
}

/** @throws ColmenaError ERR_INVALID_OPTION */
export function checkWhole(name: string, value: unknown, least: number, most: number): number {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) {
    return value as number
  }
  throw invalidOption(
    `${name} is ${String(value)}; it must be a whole number from ${least} to ${most}`,
  )
}

/** @throws ColmenaError ERR_INVALID_OPTION */
export function checkText(name: string, value: unknown, pattern: RegExp, example: string): string {
  if (typeof value === 'string' && pattern.test(value)) return value
  const shown = value === undefined ? 'missing' : JSON.stringify(value)
  throw invalidOption(`${name} is ${shown}; it must be as ${example}`)
}

/** @throws ColmenaError ERR_INVALID_OPTION */
export function checkSwitch(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw invalidOption(`${name} is ${JSON.stringify(value)}; it must be true or false`)
}

export function invalidOption(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_OPTION', message)
}
