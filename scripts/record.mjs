import { refuseUsage } from './runtime.mjs'

/** The flag of long runs that says which record they are added to. */
export const recordFlag = { record: { type: 'string' } }

/** For the usage of a long run. */
export const RECORD_USAGE =
  '       … --record docs/results.jsonl         adds it to the record, and to its page'

/** What takes down how this run ends, or null where no record is named. */
export async function openRecorder(path, kind, usage, args = process.argv.slice(2)) {
  if (path === undefined) return null
  const { Recorder } = await import('../test/results/results.ts')
  try {
    return new Recorder(path, kind, args)
  } catch (error) {
    return refuseUsage(`--record: ${error.message}.`, usage)
  }
}
