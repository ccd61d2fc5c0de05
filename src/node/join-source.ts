import { isColmenaError } from '../base/errors.ts'
import { formatHostPort, parseHostPort } from './address.ts'
import type { OpenConfig } from './config.ts'
import type { Emit } from './events.ts'
import type { LeaderWatch } from './leader-watch.ts'
import type { JoinSource } from './options.ts'
import { settlesWithin } from './patience.ts'
import type { ThreadPair } from './thread-pair.ts'

export interface JoinSourceOptions {
  readonly source: JoinSource
  /** Whether this node has a leader, so that there is no hurry. */
  readonly isLed: () => boolean
  /** Between two questions while it has none. */
  readonly hurryMs: number
  readonly found: (addresses: readonly string[]) => void
  readonly warn: (message: string) => void
}

const HURRY_MS_MAX = 500
const REST_MS = 10_000
const ANSWER_MS_MAX = 10_000
const ADDRESSES_MAX = 1024

/** Asks a join source for as long as a node is open. One that fails is told once, and asked on. */
export class JoinSources {
  readonly #options: JoinSourceOptions
  readonly #closing = new AbortController()
  #told = ''
  /** null before the first answer, which is told also where it is that nobody is there. */
  #last: string | null = null

  constructor(options: JoinSourceOptions) {
    this.#options = options
    void this.#run()
  }

  close(): void {
    this.#closing.abort()
  }

  async #run(): Promise<void> {
    const { isLed, hurryMs } = this.#options
    const { signal } = this.#closing
    while (!signal.aborted) {
      await this.#ask()
      await settlesWithin(new Promise(() => {}), isLed() ? REST_MS : hurryMs, signal)
    }
  }

  async #ask(): Promise<void> {
    const { source, found } = this.#options
    const { signal } = this.#closing
    const timeout = AbortSignal.timeout(ANSWER_MS_MAX)
    try {
      const answer = Promise.resolve(source({ signal: AbortSignal.any([signal, timeout]) }))
      answer.catch(() => {})
      const addresses = await settlesWithin(answer, ANSWER_MS_MAX, signal)
      if (signal.aborted) return
      if (addresses === undefined) throw new Error(`no answer within ${ANSWER_MS_MAX} ms`)
      const checked = checkAddresses(addresses)
      const text = checked.join(' ')
      if (text !== this.#last) found(checked)
      this.#last = text
      this.#told = ''
    } catch (error) {
      this.#tell(isColmenaError(error) ? error.message : `join failed: ${error}`)
    }
  }

  #tell(message: string): void {
    if (message === this.#told || this.#closing.signal.aborted) return
    this.#told = message
    this.#options.warn(`${message}; it is asked again`)
  }
}

/** @throws ColmenaError ERR_INVALID_OPTION */
function checkAddresses(answer: unknown): readonly string[] {
  if (!Array.isArray(answer)) throw new TypeError('join resolved to no list of addresses')
  const addresses = answer.slice(0, ADDRESSES_MAX)
  return [...new Set(addresses.map((one) => formatHostPort(parseHostPort(one, 'join'))))].sort()
}

/** Keeps the engine told of where the others may be; undefined where no function says so. */
export function askForAddresses(
  { joinSource, discoveryWindowMs }: OpenConfig,
  leaders: LeaderWatch,
  threads: ThreadPair,
  emit: Emit,
): JoinSources | undefined {
  if (joinSource === undefined) return undefined
  return new JoinSources({
    source: joinSource,
    isLed: () => leaders.leader !== null,
    hurryMs: Math.min(HURRY_MS_MAX, discoveryWindowMs / 4),
    found: (addresses) => threads.postEngine({ kind: 'addresses', addresses }),
    warn: (message) => emit('warning', { code: 'ERR_JOIN_FAILED', message }),
  })
}
