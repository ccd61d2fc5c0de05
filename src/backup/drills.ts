import { ColmenaError, type ColmenaNode } from '../index.ts'
import type { BackupClock } from './clock.ts'
import { asColmenaError } from './failures.ts'
import { makeFolder } from './folders.ts'
import type { BackupConfig } from './options.ts'
import { type BackupEvents, type DrillStatus, type Failing, reportFailure } from './reports.ts'
import { Store } from './store.ts'
import { type Verified, type VerifyBackupOptions, verifyByRestoring } from './verifying.ts'

/** How often it is looked whether a drill is due. */
const LOOK_MS = 60_000

export interface DrillsOptions {
  readonly node: ColmenaNode
  readonly config: BackupConfig
  readonly clock: BackupClock
  readonly signal: AbortSignal
  readonly tell: <Name extends keyof BackupEvents>(name: Name, event: BackupEvents[Name][0]) => void
  readonly alert: (failing: Failing) => void
}

/** Restores for a try: by themselves on the node that leads, and when asked. */
export class Drills {
  readonly #options: DrillsOptions
  #status: DrillStatus = { endedMs: null, index: null, failuresInRow: 0, error: null }
  #isBusy = false

  constructor(options: DrillsOptions) {
    this.#options = options
  }

  get status(): DrillStatus {
    return this.#status
  }

  async run(): Promise<void> {
    const { config, clock, signal, node } = this.#options
    const { drillEveryMs } = config
    if (drillEveryMs === 0) return
    // At the same times on all nodes, whenever they were started, so that neither restarts nor new
    // leaders put it off; and not at the same ones as other clusters on these machines.
    const offsetMs = Number.parseInt(node.shipping.clusterId.slice(0, 8), 16) % drillEveryMs
    const countPassed = (): number => Math.floor((clock.nowMs() + offsetMs) / drillEveryMs)
    let passed = countPassed()
    while (!signal.aborted) {
      await clock.wait(Math.min(LOOK_MS, drillEveryMs), signal)
      if (signal.aborted || this.#isBusy || countPassed() === passed) continue
      passed = countPassed()
      // What it found stands in the status.
      if (node.isLeader) await this.verify({}).catch(() => {})
    }
  }

  /** @throws ColmenaError ERR_BUSY while one runs; of the first target that fails */
  async verify(options: VerifyBackupOptions): Promise<readonly Verified[]> {
    if (this.#isBusy) {
      const message = 'a verification runs already: wait for its end'
      throw new ColmenaError('ERR_BUSY', message, { retryable: true })
    }
    this.#isBusy = true
    try {
      const verified: Verified[] = []
      let failure: ColmenaError | null = null
      for (const target of this.#options.config.targets) {
        try {
          verified.push(await this.#verify(new Store(target, this.#options.config.keys), options))
        } catch (error) {
          // The others are to be known as well.
          failure ??= asColmenaError(error)
        }
      }
      if (failure !== null) throw failure
      return verified
    } finally {
      this.#isBusy = false
    }
  }

  async #verify(store: Store, { signal, onProgress }: VerifyBackupOptions): Promise<Verified> {
    const { config, node, clock, tell } = this.#options
    const ends = [this.#options.signal, ...(signal === undefined ? [] : [signal])]
    const end = AbortSignal.any(ends)
    try {
      await using folder = await makeFolder(config.drillDirectory, 'colmena-drill-')
      const verified = await verifyByRestoring(store, {
        directory: folder.path,
        extensions: node.shipping.extensions,
        signal: end,
        onProgress,
      })
      const { index } = verified
      this.#status = { endedMs: clock.nowMs(), index, failuresInRow: 0, error: null }
      tell('drilled', { target: store.label, index })
      return verified
    } catch (error) {
      const failure = asColmenaError(error)
      // Who gave up has seen nothing fail.
      if (!end.aborted) this.#failed(store, failure)
      throw failure
    }
  }

  #failed({ label: target }: Store, error: ColmenaError): void {
    const { clock, config, tell, alert } = this.#options
    const inRow = this.#status.failuresInRow + 1
    this.#status = {
      ...this.#status,
      endedMs: clock.nowMs(),
      failuresInRow: inRow,
      error: reportFailure(error),
    }
    tell('failed', { target, error, inRow })
    // A backup that can't be restored is none: nobody should wait for a second failure.
    if (inRow === 1 || inRow === config.alertAfter) alert({ target, what: 'drill', inRow, error })
  }
}
