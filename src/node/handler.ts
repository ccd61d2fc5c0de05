import { invalid, show } from './arguments.ts'
import { checkKeys } from './nearest.ts'

type Kept = string | number | boolean | bigint | null | undefined | Date | Uint8Array

/** A type as it travels; what does not travel is `never` in it, so that nothing fits. */
export type Travelling<T> = unknown extends T
  ? T
  : T extends Kept
    ? T
    : T extends symbol | ((...args: never[]) => unknown)
      ? never
      : { readonly [Key in keyof T]: Travelling<T[Key]> }

/** Text, if values of both types travel; if not, the reason, which no key is. */
export type HandlerName<Request, Response> = [Request, Response] extends [
  Travelling<Request>,
  Travelling<Response>,
]
  ? string
  : 'a request and an answer are plain data: no functions, symbols or objects of classes'

/**
 * The name of a piece of work that the leader does for whoever asks, with the types of what it is
 * given and what it answers. Made once, in a file that callers and the handling program share.
 */
export interface Handler<Request, Response> {
  readonly key: string
  readonly version: number
  /** Never there: it keeps handlers of other types apart. */
  readonly types?: ((request: Request) => Response) | undefined
}

export interface HandlerOptions {
  /**
   * Raised when requests or answers change their shape: a node may handle several versions of one
   * key, and a call reaches its own only.
   *
   * @defaultValue 1
   */
  readonly version?: number | undefined
}

/** What a handler is told beside its request. */
export interface HandlerContext {
  /** The node that asks; it may be this one. */
  readonly nodeId: string
  /** Aborted when nobody waits any more: the time is up, or this node ends. */
  readonly signal: AbortSignal
}

/** What the leader runs. */
export type HandlerWork<Request, Response> = (
  request: Request,
  context: HandlerContext,
) => Response | Promise<Response>

const KEY_CHARS_MAX = 200
const VERSION_MAX = 0xffff_ffff

/**
 * Names work for {@link ColmenaNode.handle} and {@link ColmenaNode.forward}. Requests and answers
 * are JSON with bigint, Date, Uint8Array and undefined kept.
 *
 * @throws ColmenaError ERR_INVALID_ARGUMENT
 * @example
 * const charge = handler<{ cents: bigint }, { receipt: string }>('charge')
 */
export function handler<Request, Response>(
  key: HandlerName<Request, Response>,
  options: HandlerOptions = {},
): Handler<Request, Response> {
  checkKeys(options, ['version'], invalid, ' of a handler')
  const made = { key, version: options.version ?? 1 }
  checkHandler(made)
  return Object.freeze(made)
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT for what `handler` did not make. */
export function checkHandler(input: Handler<never, unknown>): void {
  const { key, version } = (input ?? {}) as Partial<Handler<never, unknown>>
  if (typeof key !== 'string' || key === '' || key.length > KEY_CHARS_MAX) {
    throw invalid(
      `the key of a handler is ${show(key)}; it must be text of 1 to ${KEY_CHARS_MAX} ` +
        "letters, as in handler('charge')",
    )
  }
  if (!Number.isSafeInteger(version) || version === undefined || version < 1) {
    throw invalid(`the version of handler '${key}' is ${show(version)}; it is a number from 1 on`)
  }
  if (version > VERSION_MAX) throw invalid(`version ${version} is beyond ${VERSION_MAX}`)
}

/** How messages call it. */
export function handlerTitle({
  key,
  version,
}: Pick<Handler<never, unknown>, 'key' | 'version'>): string {
  return version === 1 ? `'${key}'` : `'${key}' (version ${version})`
}
