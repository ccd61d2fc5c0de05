import { ColmenaError } from '../index.ts'

/** A number of an address or a header. @throws ColmenaError ERR_INVALID_ARGUMENT */
export function readCount(name: string, asked: string | undefined): number | undefined {
  if (asked === undefined) return undefined
  const count = /^\d+$/.test(asked) ? Number(asked) : Number.NaN
  if (Number.isSafeInteger(count)) return count
  throw new ColmenaError('ERR_INVALID_ARGUMENT', `${name} is '${asked}'; it is a whole number`)
}
