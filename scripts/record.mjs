import { resolve } from 'node:path'
import { refuseUsage } from './runtime.mjs'

/** The flag of long runs that says which record they are added to. */
export const recordFlag = { record: { type: 'string' } }

/** For the usage of a long run. */
export const RECORD_USAGE =
  '       … --record docs/results.jsonl         adds it to the record, and to its page'

/** What has not ended, if anything; one run at a time. */
let open = null
let why = 'it ended by itself'
let isWatching = false

/**
 * What takes down how this run ends, or null where no record is named: by `end`, or, where the
 * process ends without it, as broken off. A path is looked for from the project's folder.
 */
export async function openRecorder(path, kind, usage, args = process.argv.slice(2)) {
  if (path === undefined) return null
  const { Recorder } = await import('../test/results/results.ts')
  try {
    const file = path === '' ? path : resolve(import.meta.dirname, '..', path)
    open = new EndingRecorder(new Recorder(file, kind, args))
  } catch (error) {
    return refuseUsage(`--record: ${error.message}.`, usage)
  }
  watch()
  return open
}

function watch() {
  if (isWatching) return
  isWatching = true
  process.on('uncaughtExceptionMonitor', (error) => {
    why = `${error?.message ?? error}`.split('\n', 1)[0]
  })
  process.on('exit', () => open?.end({ isGood: false, brokenOff: why }))
  for (const stream of [process.stdout, process.stderr]) {
    // Before what ends the script for it.
    stream.prependListener('error', () => {
      why = 'nobody read its output any more'
    })
  }
  for (const signal of ['SIGINT', 'SIGTERM']) {
    // Who listens already ends in an own way; else a signal would leave no time.
    const isAlone = process.listenerCount(signal) === 0
    process.prependListener(signal, () => {
      why = signal
      if (isAlone) process.exit(1)
    })
  }
}

class EndingRecorder {
  #recorder
  #readFigures = () => ({})

  constructor(recorder) {
    this.#recorder = recorder
  }

  /** What says how far it is, where it is broken off. */
  whileRunning(readFigures) {
    this.#readFigures = readFigures
  }

  /** A record that fails changes nothing of what the run came to. */
  end({ isGood, brokenOff, figures = this.#readFigures(), found }) {
    open = null
    try {
      this.#recorder.end({ isGood, brokenOff, figures, found })
    } catch (error) {
      process.stderr.write(`It could not be recorded: ${error.message}\n`)
    }
  }
}
