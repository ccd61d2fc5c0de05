import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { type ApiClient, toWireValue } from './client.ts'
import { CliError, sentenceOf, usageError } from './failure.ts'
import { toInteger } from './numbers.ts'
import { renderTable } from './table.ts'

export interface BenchOptions {
  readonly database: string
  readonly writers: string
  readonly readers: string
  readonly statements: string
  readonly seconds: string
}

/** After a failure: many that try at once would only be in the way. */
const PAUSE_MS = 20

interface Recording {
  readonly what: string
  readonly latenciesMs: number[]
}

/** Writers and readers at running nodes, spread over them, for so many seconds. */
export async function runBench(
  clients: readonly ApiClient[],
  options: BenchOptions,
): Promise<void> {
  const writers = toInteger('--writers', options.writers, 0, 1_024)
  const readers = toInteger('--readers', options.readers, 0, 1_024)
  const statements = toInteger('--statements', options.statements, 1, 1_000)
  const seconds = toInteger('--seconds', options.seconds, 1, 600)
  if (writers + readers === 0) throw usageError('--writers and --readers are both 0')
  const { database } = options
  const [first] = clients as [ApiClient]
  const table = `colmena_bench_${randomBytes(4).toString('hex')}`
  await first.execute(database, { sql: `CREATE TABLE ${table} (id INTEGER PRIMARY KEY, text)` })
  const insert = {
    sql: `INSERT INTO ${table} (text) VALUES (?)`,
    args: [toWireValue('x'.repeat(100))],
  }
  const insertAll = Array.from({ length: statements }, () => insert)
  const write = (client: ApiClient): Promise<unknown> =>
    statements === 1 ? client.execute(database, insert) : client.batch(database, insertAll)
  const sql = `SELECT * FROM ${table} ORDER BY id DESC LIMIT 1`
  const read = (client: ApiClient): Promise<unknown> => client.execute(database, { sql })
  const recordings: readonly Recording[] = [
    { what: statements === 1 ? 'writes' : `writes of ${statements}`, latenciesMs: [] },
    { what: 'reads', latenciesMs: [] },
  ]
  const errors = new Map<string, number>()
  const startedMs = performance.now()
  const endMs = startedMs + seconds * 1_000
  const worker = async (
    at: number,
    work: typeof write,
    { latenciesMs }: Recording,
  ): Promise<void> => {
    const client = clients[at % clients.length] as ApiClient
    while (performance.now() < endMs) {
      const beganMs = performance.now()
      try {
        await work(client)
        latenciesMs.push(performance.now() - beganMs)
      } catch (error) {
        const sentence = sentenceOf(error)
        errors.set(sentence, (errors.get(sentence) ?? 0) + 1)
        await pause(PAUSE_MS)
      }
    }
  }
  const [writing, reading] = recordings as [Recording, Recording]
  await Promise.all([
    ...Array.from({ length: writers }, (_, at) => worker(at, write, writing)),
    ...Array.from({ length: readers }, (_, at) => worker(at, read, reading)),
  ])
  const tookS = (performance.now() - startedMs) / 1_000
  process.stdout.write(`${renderFigures(recordings, tookS)}\n`)
  for (const [sentence, count] of errors) process.stdout.write(`${count} failed: ${sentence}\n`)
  await first.execute(database, { sql: `DROP TABLE ${table}` })
  const done = writing.latenciesMs.length + reading.latenciesMs.length
  if (done === 0) throw new CliError('nothing was answered')
}

function renderFigures(recordings: readonly Recording[], tookS: number): string {
  const rows = recordings
    .filter(({ latenciesMs }) => latenciesMs.length > 0)
    .map(({ what, latenciesMs }) => {
      const sorted = latenciesMs.toSorted((a, b) => a - b)
      const at = (share: number): string => {
        const ms = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number
        return `${ms.toFixed(2)} ms`
      }
      const perSecond = `${Math.round(sorted.length / tookS)} /s`
      return [what, String(sorted.length), perSecond, at(0.5), at(0.95), at(0.99)]
    })
  return renderTable(['what', 'total', 'rate', 'p50', 'p95', 'p99'], rows)
}
