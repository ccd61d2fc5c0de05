import { ColmenaError } from '../index.ts'
import { invalid, show } from './invalid.ts'

const BYTES_MAX = 1_048_576
const DEPTH_MAX = 100

/**
 * JSON that says what the value says: what JSON has no word for is refused with its place. A field
 * that is `undefined` is left out, and `undefined` alone, as of a job without arguments, is null.
 *
 * @throws ColmenaError ERR_INVALID_ARGUMENT, ERR_TOO_LARGE
 */
export function toJson(value: unknown, of: string): string {
  if (value === undefined) return 'null'
  check(value, of, [])
  const text = JSON.stringify(value)
  const bytes = Buffer.byteLength(text)
  if (bytes <= BYTES_MAX) return text
  throw new ColmenaError(
    'ERR_TOO_LARGE',
    `${of}: ${bytes} bytes of JSON, where ${BYTES_MAX} are the most`,
  )
}

/** JSON of null as well, which says that there were none. */
const NO_ARGS = ' null'

/** As {@link toJson}, and keeps apart what is null and what was not given. */
export function argsToJson(args: unknown, of: string): string {
  return args === undefined ? NO_ARGS : toJson(args, of)
}

export function argsFromJson(json: string): unknown {
  return json === NO_ARGS ? undefined : JSON.parse(json)
}

function check(value: unknown, at: string, above: readonly object[]): void {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return
  if (typeof value === 'number' && Number.isFinite(value)) return
  if (typeof value !== 'object') throw invalid(`${at}: ${show(value)} is no JSON`)
  if (above.includes(value)) throw invalid(`${at}: it contains itself`)
  if (above.length >= DEPTH_MAX) throw invalid(`${at}: it is more than ${DEPTH_MAX} levels deep`)
  const path = [...above, value]
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      check(value[index], `${at}[${index}]`, path)
    }
    return
  }
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    const name = prototype?.constructor?.name ?? 'a class'
    throw invalid(`${at}: an object of ${name} is no JSON`)
  }
  if (Object.getOwnPropertySymbols(value).length > 0) throw invalid(`${at}: a symbol is no JSON`)
  for (const [key, one] of Object.entries(value)) {
    // As JSON has it: a field that is undefined is not there.
    if (one !== undefined) check(one, `${at}.${key}`, path)
  }
}
