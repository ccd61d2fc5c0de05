import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { renderFigures, Tally } from './bench-tally.ts'
import { type ApiClient, toWireValue } from './client.ts'
import { CliError, sentenceOf, usageError } from './failure.ts'
import { toInteger } from './numbers.ts'
import { untilSignal } from './signals.ts'

export interface BenchOptions {
  readonly database: string
  readonly writers: string
  readonly readers: string
  readonly statements: string
  readonly seconds: string
}

/** Each is a connection: more of one process would measure the process. */
const CLIENTS_MAX = 256
/** After a failure: many that try at once would only be in the way. */
const PAUSE_MS = 20
const PROGRESS_MS = 250
const DROP_MS = 10_000

/** Writers and readers at running nodes, spread over them, for so many seconds or until Ctrl-C. */
export async function runBench(
  clients: readonly ApiClient[],
  options: BenchOptions,
): Promise<void> {
  const writers = toInteger('--writers', options.writers, 0, CLIENTS_MAX)
  const readers = toInteger('--readers', options.readers, 0, CLIENTS_MAX)
  const statements = toInteger('--statements', options.statements, 1, 1_000)
  const seconds = toInteger('--seconds', options.seconds, 1, 600)
  if (writers + readers === 0) throw usageError('--writers and --readers are both 0')
  const { database } = options
  const [first] = clients as [ApiClient]
  const table = `colmena_bench_${randomBytes(4).toString('hex')}`
  const stop = new AbortController()
  // From here on, so that no Ctrl-C leaves the table.
  void untilSignal().then(() => stop.abort())
  const writing = new Tally(statements === 1 ? 'writes' : `writes of ${statements}`)
  const reading = new Tally('reads')
  await first.execute(database, { sql: `CREATE TABLE ${table} (id INTEGER PRIMARY KEY, text)` })
  try {
    const { signal } = stop
    const works = createWorks({ database, table, statements, signal })
    const teams = [
      { tally: writing, work: works.write, size: writers },
      { tally: reading, work: works.read, size: readers },
    ]
    const tookS = await runTeams(clients, teams, seconds, signal)
    const failures = [...writing.failures(), ...reading.failures()]
    const lines = [renderFigures([writing, reading], tookS), ...failures]
    process.stdout.write(`${lines.join('\n')}\n`)
  } finally {
    await dropTable(first, database, table)
  }
  if (writing.total + reading.total === 0) throw new CliError('nothing was answered')
}

type Work = (client: ApiClient) => Promise<unknown>

interface WorksOptions {
  readonly database: string
  readonly table: string
  readonly statements: number
  readonly signal: AbortSignal
}

function createWorks({ database, table, statements, signal }: WorksOptions): {
  readonly write: Work
  readonly read: Work
} {
  const insert = {
    sql: `INSERT INTO ${table} (text) VALUES (?)`,
    args: [toWireValue('x'.repeat(100))],
  }
  const all = Array.from({ length: statements }, () => insert)
  const sql = `SELECT * FROM ${table} ORDER BY id DESC LIMIT 1`
  return {
    write: (client) =>
      statements === 1
        ? client.execute(database, insert, { signal })
        : client.batch(database, all, { signal }),
    read: (client) => client.execute(database, { sql }, { signal }),
  }
}

interface Team {
  readonly tally: Tally
  readonly work: Work
  readonly size: number
}

/** Answers how many seconds it took. */
async function runTeams(
  clients: readonly ApiClient[],
  teams: readonly Team[],
  seconds: number,
  stop: AbortSignal,
): Promise<number> {
  const startedMs = performance.now()
  const endMs = startedMs + seconds * 1_000
  const worker = async (at: number, { tally, work }: Team): Promise<void> => {
    const client = clients[at % clients.length] as ApiClient
    while (performance.now() < endMs && !stop.aborted) {
      const beganMs = performance.now()
      try {
        await work(client)
        tally.record(performance.now() - beganMs)
      } catch (error) {
        // What Ctrl-C cut off did not fail.
        if (stop.aborted) return
        tally.failed(sentenceOf(error))
        await pause(PAUSE_MS)
      }
    }
  }
  const passedS = (): number => (performance.now() - startedMs) / 1_000
  const progress = setInterval(() => showProgress(teams, passedS(), seconds), PROGRESS_MS)
  try {
    await Promise.all(
      teams.flatMap((team) => Array.from({ length: team.size }, (_, at) => worker(at, team))),
    )
  } finally {
    clearInterval(progress)
    if (process.stderr.isTTY === true) process.stderr.write('\r\u001b[K')
  }
  return passedS()
}

/** On a terminal only: it is of the moment. */
function showProgress(teams: readonly Team[], passedS: number, seconds: number): void {
  if (process.stderr.isTTY !== true) return
  const rates = teams
    .filter(({ size }) => size > 0)
    .map(({ tally }) => `${tally.what} ${Math.round(tally.total / passedS)} /s`)
  const line = `${Math.min(seconds, Math.floor(passedS))} of ${seconds} s, ${rates.join(', ')}`
  process.stderr.write(`\r${line}\u001b[K`)
}

/** However the bench ended; a cluster that elects is waited for. */
async function dropTable(client: ApiClient, database: string, table: string): Promise<void> {
  const sql = `DROP TABLE IF EXISTS ${table}`
  const deadlineMs = performance.now() + DROP_MS
  for (;;) {
    try {
      await client.execute(database, { sql })
      return
    } catch (error) {
      if (error instanceof CliError && error.isPassing && performance.now() < deadlineMs) {
        await pause(PAUSE_MS)
        continue
      }
      throw new CliError(`${sentenceOf(error)}; drop the table ${table} of ${database} yourself`)
    }
  }
}
