/**
 * The process that cases run in, of little memory: so that a case which never ends, or takes all
 * memory, ends this process and not the test. Which case it is at stands in a file meanwhile.
 */
import { openSync, writeSync } from 'node:fs'
import fc from 'fast-check'
import { watchFields } from './fields.ts'
import type { Finding, Request } from './fuzzer.ts'
import type { AnyTarget } from './target.ts'
import { targets } from './targets.ts'

/** Of looking for a smaller case once one has failed. */
const SHRINK_MS_MAX = 15_000
const INPUT_CHARS_MAX = 1_000
const REASON_CHARS_MAX = 3_000

const place = openSync(process.argv[2] as string, 'r+')
const at = new Int32Array(1)

function note(number: number): void {
  at[0] = number
  writeSync(place, at, 0, 4, 0)
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
  const property = fc.asyncProperty(target.input, async (input) => {
    note((number += 1))
    // What took so long to shrink is small enough.
    if (failedMs > 0 && performance.now() - failedMs > SHRINK_MS_MAX) return
    try {
      await target.check(input)
    } catch (error) {
      failedMs ||= performance.now()
      throw error
    }
  })
  const details = await fc.check(property, {
    seed,
    numRuns: runs,
    ...(path === undefined ? {} : { path, endOnFailure: true }),
    examples: (target.examples ?? []).map((input) => [input] as [unknown]),
  })
  if (!details.failed) return { runs: details.numRuns, failure: null }
  const { errorInstance, counterexample, counterexamplePath } = details
  const reason = String((errorInstance as Error | null)?.stack ?? errorInstance)
  const input = fc.stringify(counterexample).slice(0, INPUT_CHARS_MAX)
  const text = `${reason.slice(0, REASON_CHARS_MAX)}\n${input}`
  return { runs: details.numRuns, failure: { path: counterexamplePath ?? '', text } }
}
