import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LifeOptions } from '../simulated/life.ts'
import { LEASED_SHAPE, POWER_SHAPE } from '../simulated/shape.ts'

/** What of a life a mutation may ask for beside its seed. */
export type LivesWanted = Partial<Omit<LifeOptions, 'seed' | 'skipsSync'>>

/** A mistake that an engineer could make, as a change of the production code. */
export interface Mutation {
  readonly id: string
  /** What is wrong then, in one sentence. */
  readonly bug: string
  /** In `src/`, from the root of the checkout. */
  readonly file: string
  /** Found exactly once in the file. */
  readonly text: string
  readonly replacement: string
  /** Ids of the design's catalogue of bugs (`E1`), and hazards (`H11`). */
  readonly breaks: readonly string[]
  /** Simulated lives from seed 1 on, or the test files that know where lives don't come to. */
  readonly caughtBy:
    | { readonly lives: LivesWanted }
    | { readonly tests: readonly [string, ...string[]] }
}

/** Caught by the simulator as it is by default. */
export const LIVES: Mutation['caughtBy'] = { lives: {} }

/** Caught where strong reads go by leases and clocks are bad. */
export const LEASED_LIVES: Mutation['caughtBy'] = {
  lives: { shape: { ...LEASED_SHAPE, leases: 'kept' } },
}

/** Caught where one node decides alone, loses power, and is read from all the time. */
export const LONELY_LIVES: Mutation['caughtBy'] = {
  lives: { shape: { ...POWER_SHAPE, nodes: 2, leases: 'kept' } },
}

/** Caught where members come and go, and hear of it late. */
export const MEMBER_LIVES: Mutation['caughtBy'] = {
  lives: {
    shape: {
      ...POWER_SHAPE,
      nodes: 4,
      strikes: ['removal', 'demotion', 'isolation', 'one-way cut'],
    },
  },
}

/** The file's text with the mistake in it. */
export function mutate(original: string, { id, file, text, replacement }: Mutation): string {
  const parts = original.split(text)
  if (parts.length !== 2) {
    const count = parts.length - 1
    throw new Error(`${id}: its text is in ${file} ${count} times and not once:\n${text}`)
  }
  if (text === replacement) throw new Error(`${id}: it changes nothing`)
  return parts.join(replacement)
}

/** Puts the mistake into a checkout; the answer takes it out again. */
export function applyMutation(root: string, mutation: Mutation): () => void {
  const path = join(root, mutation.file)
  const original = readFileSync(path, 'utf8')
  writeFileSync(path, mutate(original, mutation))
  return () => writeFileSync(path, original)
}

/** `file:line` of the mistake. */
export function placeOf(root: string, { file, text }: Mutation): string {
  const before = readFileSync(join(root, file), 'utf8').split(text)[0] ?? ''
  return `${file}:${before.split('\n').length}`
}
