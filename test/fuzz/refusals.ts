/**
 * What decoders must refuse. One that is too lenient means something that comes through another
 * round unchanged, so that no rule of fuzzing sees it: each row here is one check of a decoder.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { join } from './mutations.ts'
import { isDecodeRefusal } from './target.ts'

export interface Decoder {
  readonly name: string
  /** What it takes. */
  readonly bytes: Uint8Array
  /** Throws, or answers with nothing or a refusal, where it takes nothing. */
  readonly decode: (bytes: Uint8Array) => unknown
  /** Numbers over what stands somewhere: what is wrong with it then, where, and which bytes. */
  readonly wrong: readonly (readonly [what: string, at: number, ...bytes: number[]])[]
  /** What no number over something comes to. */
  readonly others?: readonly (readonly [what: string, bytes: Uint8Array])[] | undefined
  /** Its last part takes whatever is left. */
  readonly takesAnyTail?: boolean | undefined
}

/** One test for each row, and two more: a byte too many at the end, and each shorter beginning. */
export function testRefusals(decoders: readonly Decoder[]): void {
  for (const { name, bytes, decode, wrong, others = [], takesAnyTail = false } of decoders) {
    const refuses = (broken: Uint8Array, what: string): void =>
      assert.ok(isRefused(decode, broken), `${name}: ${what}`)
    const rows: [string, Uint8Array][] = wrong.map(([what, at, ...by]) => {
      const broken = new Uint8Array(bytes)
      broken.set(by, at)
      return [what, broken]
    })
    for (const [what, broken] of others) rows.push([what, broken])
    if (!takesAnyTail) rows.push(['a byte too many', join(bytes, new Uint8Array(1))])
    for (const [what, broken] of rows) {
      test(`${name} refuses ${what}`, () => {
        assert.ok(!isRefused(decode, bytes), 'what is broken here is taken when it is whole')
        refuses(broken, what)
      })
    }
    if (takesAnyTail) continue
    test(`${name} refuses what is cut short, wherever`, () => {
      for (let at = 1; at < bytes.length; at += 1) refuses(bytes.subarray(0, at), `cut at ${at}`)
    })
  }
}

function isRefused(decode: Decoder['decode'], bytes: Uint8Array): boolean {
  try {
    const made = decode(bytes.slice())
    return made === null || (typeof made === 'object' && 'code' in made)
  } catch (error) {
    if (isDecodeRefusal(error)) return true
    throw error
  }
}
