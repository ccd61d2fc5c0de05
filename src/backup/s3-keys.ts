import { ColmenaError } from '../index.ts'
import { orAborted } from './calls.ts'
import { findCredentialSlip, type S3Config, type S3Credentials } from './s3-options.ts'

/** So long before they end, others are asked for. */
const EARLY_MS = 60_000

/** The credentials that requests are signed with: all that wait for new ones share one asking. */
export class S3Keys {
  readonly #config: S3Config
  #current: S3Credentials | undefined
  #asking: Promise<S3Credentials> | undefined

  constructor(config: S3Config) {
    this.#config = config
  }

  /** Whether there may be others than those that a target no longer takes. */
  get canChange(): boolean {
    return typeof this.#config.credentials === 'function'
  }

  async get(signal: AbortSignal): Promise<S3Credentials> {
    const { credentials } = this.#config
    if (typeof credentials !== 'function') return credentials
    const current = this.#current
    if (current !== undefined && !endsSoon(current)) return current
    this.#asking ??= this.#ask(credentials).finally(() => {
      this.#asking = undefined
    })
    return await orAborted(this.#asking, signal)
  }

  /** What a target no longer takes is asked for anew; not what took its place meanwhile. */
  refuse(refused: S3Credentials): void {
    if (this.#current === refused) this.#current = undefined
  }

  async #ask(credentials: () => Promise<S3Credentials>): Promise<S3Credentials> {
    const { label, stallMs } = this.#config
    const late = AbortSignal.timeout(stallMs)
    let given: S3Credentials
    try {
      given = await orAborted((async () => await credentials())(), late)
    } catch (cause) {
      const why = late.aborted ? `did not answer within ${stallMs} ms` : `failed: ${said(cause)}`
      const message = `the function credentials of ${label} ${why}; it is asked again`
      throw new ColmenaError('ERR_TARGET', message, { cause, retryable: true })
    }
    const slip = findCredentialSlip(given)
    if (slip !== null) {
      const message = `the function credentials of ${label} gave none: ${slip}`
      throw new ColmenaError('ERR_TARGET', message)
    }
    this.#current = given
    return given
  }
}

function endsSoon({ expiresMs }: S3Credentials): boolean {
  return expiresMs !== undefined && expiresMs - Date.now() < EARLY_MS
}

function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
