import type { Backup } from '../backup/backup.ts'
import { ColmenaError, type ColmenaNode, open } from '../index.ts'
import { createJobs, type Jobs } from '../jobs/jobs.ts'
import { createServer, type Server } from '../server/server.ts'
import { CliError, sentenceOf } from './failure.ts'
import { type Backups, prepareBackups } from './node-backup.ts'
import { Reloads } from './reload.ts'
import { readServeConfig, withFlags } from './serve-settings.ts'
import { endAtOnce, untilSignal } from './signals.ts'

/** From the first signal on: the process has ended within ten seconds. */
const LEAVE_MS_MAX = 9_000
/** What is left of that for cutting off who does not end by himself. */
const CUT_AFTER_MS = 7_000

/** Runs a node with its server, until a signal or a failure ends it. */
export async function runServe(flags: Readonly<Record<string, unknown>>): Promise<void> {
  const config = readServeConfig(flags, process.env)
  // From here on, so that a signal amid a long start is heard.
  const signal = new AbortController()
  const told = untilSignal().then(() => signal.abort())
  const reloads = new Reloads(flags)
  const backups = await prepareBackups(config.backup)
  let node: ColmenaNode
  try {
    const { restore, watch } = backups
    const logger = { warn, info: (...told: [string, unknown]) => watch.info(...told) }
    node = await open({ ...config.open, restore, signal: signal.signal, logger })
  } catch (error) {
    await backups.close()
    if (signal.signal.aborted) return
    throw failure(error)
  }
  // To look at: whoever has handlers runs them in a process of his own.
  const jobs = createJobs(node, { workers: 0 })
  let server: Server
  let backup: Backup | undefined
  try {
    backup = await backups.start(node)
    server = await createServer(node, { ...config.server, jobs, backup })
  } catch (error) {
    await node.close()
    await backups.close()
    throw failure(error)
  }
  process.stdout.write(`${describe(node, server, config.open.dataDir)}\n`)
  reloads.begin(node, server)
  node.on('slow', ({ database, sql, durationMs }) => {
    process.stderr.write(`slow: ${Math.round(durationMs)} ms on ${database}: ${sql}\n`)
  })
  const failed = new Promise<unknown>((resolve) => {
    node.on('closed', (event) => {
      if (event.reason === 'failed') resolve(event.cause)
    })
  })
  const cause = await Promise.race([told.then(() => null), failed])
  await leave(node, server, jobs, backups)
  if (cause !== null) throw new CliError(`the node has failed: ${sentenceOf(cause)}`)
}

/** A start that has to wait says what for: there is no node to listen to by then. */
function warn(message: string, details: unknown): void {
  const { code } = details as { readonly code?: string }
  if (code !== undefined) process.stderr.write(`${code}: ${message}\n`)
}

/** Within ten seconds, whatever a client or a statement does. */
async function leave(
  node: ColmenaNode,
  server: Server,
  jobs: Jobs,
  backups: Backups,
): Promise<void> {
  process.stdout.write('leaving\n')
  // A statement that runs on a thread can't be ended, and would hold up the exit.
  setTimeout(() => endAtOnce(0), LEAVE_MS_MAX).unref()
  const signal = AbortSignal.timeout(CUT_AFTER_MS)
  await server.close({ signal })
  await jobs.close({ signal })
  // While it leads it ships the last writes.
  await backups.close({ signal })
  await node.close({ signal })
  process.stdout.write('left\n')
}

function describe(node: ColmenaNode, server: Server, dataDir: string): string {
  const { nodeId, address } = node
  const lines = [
    `node ${nodeId} is open, with its data in ${dataDir}`,
    address === ''
      ? 'it is alone: --bind HOST:PORT lets others join'
      : `others join with: colmena serve --bind HOST:PORT --join ${address}`,
    `clients find it at ${server.url}`,
    `ask it:  colmena status --url ${server.url}`,
    'Ctrl-C leaves; a second one ends it at once',
  ]
  return lines.join('\n')
}

function failure(error: unknown): CliError {
  const isOfNode = error instanceof ColmenaError
  const sentence = isOfNode ? withFlags(sentenceOf(error)) : sentenceOf(error)
  return new CliError(sentence, isWrongOption(error) ? 2 : 1, { cause: error })
}

/** Options that are wrong are a wrong call of the command; what fails later is not. */
function isWrongOption(error: unknown): boolean {
  const codes = ['ERR_INVALID_OPTION', 'ERR_WEAK_SECRET', 'ERR_EXTENSION_FAILED']
  return error instanceof ColmenaError && codes.includes(error.code)
}
