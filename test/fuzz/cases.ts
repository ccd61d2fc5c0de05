/**
 * The process that cases run in, of little memory: so that a case which never ends, or takes all
 * memory, ends this process and not the test. Which case it is at stands in a file meanwhile.
 */
import { openSync, writeSync } from 'node:fs'
import fc from 'fast-check'
import { watchFields } from './fields.ts'
import { type Finding, PLACES, type Request } from './fuzzer.ts'
import type { AnyTarget } from './target.ts'
import { targets } from './targets.ts'

/** Of looking for a smaller case once one has failed. */
const SHRINK_MS_MAX = 15_000
const INPUT_CHARS_MAX = 1_000
const REASON_CHARS_MAX = 3_000

type Details = Pick<
  fc.RunDetails<[unknown]>,
  'errorInstance' | 'counterexample' | 'counterexamplePath'
>

const place = openSync(process.argv[2] as string, 'r+')
const at = new Int32Array(2)

function note(number: number): void {
  at[PLACES.run] = number
  at[PLACES.begun] = (at[PLACES.begun] as number) + 1
  writeSync(place, at, 0, at.byteLength, 0)
}

watchFields()
process.on('message', (request: Request) => {
  void answer(request).then((finding) => process.send?.(finding))
})

async function answer(request: Request): Promise<Finding> {
  const target = targets.find(({ name }) => name === request.target)
  if (target === undefined) throw new Error(`there is no target ${request.target}`)
  note(-1)
  const close = await target.open?.()
  try {
    return await run(target, request)
  } finally {
    await close?.()
  }
}

async function run(target: AnyTarget, { seed, runs, path }: Request): Promise<Finding> {
  let number = -1
  let failedMs = 0
  let last: unknown
  const property = fc.asyncProperty(target.input, async (input) => {
    // The ones that a failed one shrinks to are none of the run.
    if (failedMs === 0) number += 1
    note(number)
    // What took so long to shrink is small enough.
    if (failedMs > 0 && performance.now() - failedMs > SHRINK_MS_MAX) return
    last = input
    try {
      await target.check(input)
    } catch (error) {
      failedMs ||= performance.now()
      throw error
    }
  })
  const parameters = {
    seed,
    numRuns: runs,
    ...(path === undefined ? {} : { path, endOnFailure: true }),
    examples: (target.examples ?? []).map((input) => [input] as [unknown]),
  }
  try {
    const { failed, numRuns, ...details } = await fc.check(property, parameters)
    if (failed) return { runs: numRuns, input: null, failure: describeFailure(details) }
    return { runs: numRuns, input: path === undefined ? null : show([last]), failure: null }
  } catch (error) {
    // Nothing that a case throws comes here: the path leads to no case.
    if (path !== undefined && number < 0) return { runs: 0, input: null, failure: null }
    throw error
  }
}

function describeFailure(details: Details): NonNullable<Finding['failure']> {
  const { errorInstance, counterexample, counterexamplePath } = details
  const reason = String((errorInstance as Error | null)?.stack ?? errorInstance)
  const text = `${reason.slice(0, REASON_CHARS_MAX)}\n${show(counterexample)}`
  return { path: counterexamplePath ?? '', text }
}

function show(input: unknown): string {
  const text = fc.stringify(input)
  if (text.length <= INPUT_CHARS_MAX) return text
  return `${text.slice(0, INPUT_CHARS_MAX)}… of ${text.length} characters`
}
