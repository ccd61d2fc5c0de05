import { ColmenaError } from '../index.ts'
import { Audit } from './audit.ts'
import { Breaker } from './breaker.ts'
import { Chart } from './chart.ts'
import type { Cluster, ClusterListener } from './cluster.ts'
import { CONTROLS_AT_FIRST, changeControls } from './controls.ts'
import { Load, makeUpText } from './load.ts'
import { LogRows } from './log-rows.ts'
import type { Member } from './member.ts'
import { LOOKED_UP_IDS } from './node-messages.ts'
import type { DemoEvents, DemoState, LevelFigure } from './protocol.ts'
import { Pruning } from './pruning.ts'
import { Writes } from './writes.ts'

const LOAD_EVERY_MS = 20
const ROWS_EVERY_MS = 100
const STATE_EVERY_MS = 250
const SECOND_MS = 1_000
const LEVELS_EVERY_MS = 4_000

/** Writes on their way, beyond which a visitor's are refused: without a leader they wait. */
const VISITOR_WRITES_MAX = 4_000

/** Gets what happens, as the page is to hear it. */
export type Publish = <Name extends keyof DemoEvents>(name: Name, data: DemoEvents[Name]) => void

/** Gives a cluster that has the table, and tells the listener what happens from now on. */
export type OpenCluster = (listener: ClusterListener) => Promise<Cluster>

export interface SupervisorOptions {
  readonly open: OpenCluster
  readonly publish: Publish
}

interface SupervisorParts {
  readonly publish: Publish
  readonly rows: LogRows
  readonly chart: Chart
  readonly writes: Writes
}

/** Nodes, what is written through them, what is done to them, and the tally of it all. */
export class Supervisor {
  readonly cluster: Cluster
  readonly #publish: Publish
  readonly #rows: LogRows
  readonly #chart: Chart
  readonly #writes: Writes
  readonly #load: Load
  readonly #breaker: Breaker
  readonly #pruning = new Pruning()
  readonly #audit = new Audit()
  readonly #timers: NodeJS.Timeout[] = []
  #controls = CONTROLS_AT_FIRST
  #levels: readonly LevelFigure[] = []
  #isMeasuring = false
  #tickedMs = performance.now()

  private constructor(cluster: Cluster, parts: SupervisorParts) {
    this.cluster = cluster
    this.#publish = parts.publish
    this.#rows = parts.rows
    this.#chart = parts.chart
    this.#writes = parts.writes
    this.#load = new Load(cluster, parts.writes)
    this.#breaker = new Breaker(cluster)
  }

  /** Resolves once the cluster is open. */
  static async start({ open, publish }: SupervisorOptions): Promise<Supervisor> {
    const [rows, chart] = [new LogRows(), new Chart()]
    const addEvent = (text: string): void => void rows.add(Date.now(), { kind: 'event', text })
    let writes: Writes | null = null
    let supervisor: Supervisor | null = null
    const cluster = await open({
      fates: (fates) => writes?.fates(fates),
      applied: () => writes?.spread(),
      exited: (member) => writes?.exited(member),
      happened: (text, isFault) => {
        addEvent(text)
        if (isFault) chart.fault(text)
      },
      changed: (text) => {
        if (supervisor === null) return
        // What every node must have depends on who is one.
        supervisor.reset()
        addEvent(`${text}: the tally begins anew`)
      },
    })
    writes = new Writes({ cluster, rows, chart, firstId: await findFirstId(cluster) })
    supervisor = new Supervisor(cluster, { publish, rows, chart, writes })
    supervisor.#begin()
    return supervisor
  }

  hello(): DemoEvents['hello'] {
    return { state: this.#state(), rows: this.#rows.all, points: this.#chart.points }
  }

  /** Writes a text through a node, or any that runs; a made-up one if there is none. */
  write(text: string | undefined, nodeId: string | undefined): void {
    const { running } = this.cluster
    const member =
      nodeId === undefined
        ? running[Math.floor(Math.random() * running.length)]
        : this.cluster.member(nodeId)
    if (member?.running == null) throw awayError(nodeId)
    if (this.#writes.tally.openCount >= VISITOR_WRITES_MAX) throw busyError()
    this.#writes.send(member, [text ?? makeUpText()], 1)
  }

  control(change: unknown): void {
    this.#controls = changeControls(this.#controls, change)
  }

  /** Begins the tally, the log and the chart anew; the nodes stay as they are. */
  reset(): void {
    this.#writes.reset()
    this.#rows.clear()
    this.#chart.clear()
    this.#publish('reset', null)
    this.#publish('hello', this.hello())
  }

  /** Adds a row of words to the log. */
  tell(text: string): void {
    this.#rows.add(Date.now(), { kind: 'event', text })
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    await this.cluster.close()
  }

  #begin(): void {
    const every = (ms: number, run: () => void): void => {
      this.#timers.push(setInterval(run, ms))
    }
    every(LOAD_EVERY_MS, () => this.#tick())
    every(ROWS_EVERY_MS, () => this.#publishRows())
    every(STATE_EVERY_MS, () => this.#look())
    every(SECOND_MS, () => this.#endSecond())
    every(LEVELS_EVERY_MS, () => void this.#measureLevels())
    void this.#measureLevels()
  }

  #tick(): void {
    const [before, now] = [this.#tickedMs, performance.now()]
    const { ratePerSecond, breakEverySeconds, isPaused } = this.#controls
    this.#tickedMs = now
    this.#load.tick(isPaused ? 0 : ratePerSecond, (now - before) / 1_000)
    this.#breaker.tick(Date.now(), isPaused ? 0 : breakEverySeconds)
  }

  #publishRows(): void {
    const rows = this.#rows.takeChanged()
    if (rows.length > 0) this.#publish('rows', rows)
  }

  #look(): void {
    this.cluster.look(Date.now())
    this.#writes.spread()
    this.#audit.look(this.cluster, this.#writes.tally)
    this.#pruning.step(this.cluster, this.#writes.tally)
    this.#publish('state', this.#state())
  }

  #endSecond(): void {
    for (const member of this.cluster.members) member.countSecond()
    this.#writes.settle()
    this.#publish('point', this.#chart.endSecond(Date.now()))
  }

  /** On a follower: that is where the levels differ. */
  async #measureLevels(): Promise<void> {
    const { leader, whole } = this.cluster
    const follower = whole.find((member: Member) => member !== leader && !member.isLearner)
    if (follower?.running == null || this.#isMeasuring) return
    this.#isMeasuring = true
    try {
      this.#levels = await follower.running.call('measureLevels')
    } catch {
      // It was killed meanwhile: another one is asked the next time.
    } finally {
      this.#isMeasuring = false
    }
  }

  #state(): DemoState {
    const now = Date.now()
    return {
      site: this.cluster.site,
      nodes: this.cluster.cards(now),
      tally: this.#writes.tally.figures(now),
      controls: this.#controls,
      notice: this.cluster.notice(),
      levels: this.#levels,
    }
  }
}

/**
 * Beyond all ids that were ever given out. Of an earlier supervisor on another machine some may be
 * under way still, and in no file: ids begin at the clock, which is faster than any load.
 */
async function findFirstId({ leader, running }: Cluster): Promise<number> {
  const member = leader?.running == null ? running[0] : leader
  const lastId = (await member?.running?.call('lastId').catch(() => null)) ?? 0
  return Math.max(lastId + 1, Date.now() * LOOKED_UP_IDS)
}

function awayError(nodeId: string | undefined): ColmenaError {
  const what = nodeId === undefined ? 'no node runs' : `${nodeId} does not run`
  return new ColmenaError('ERR_CLOSED', `${what} just now: restart it, or write through another`)
}

function busyError(): ColmenaError {
  return new ColmenaError(
    'ERR_BUSY',
    `${VISITOR_WRITES_MAX} writes wait already: try again once there is a leader`,
    { retryable: true },
  )
}
