import { type Command, Option } from 'commander'
import { type ColmenaNode, open } from '../index.ts'
import { createServer, type Server } from '../server/server.ts'
import { CliError, sentenceOf } from './failure.ts'
import {
  flagOf,
  isWrongOption,
  readServeConfig,
  SETTINGS,
  variableOf,
  withFlags,
} from './serve-settings.ts'
import { endAtOnce, untilSignal } from './signals.ts'

/** From the first signal on: the process has ended within ten seconds. */
const LEAVE_MS_MAX = 9_000
/** What is left of that for cutting off who does not end by himself. */
const CUT_AFTER_MS = 7_000

export function addServe(program: Command): void {
  const command = program.command('serve').description('runs a node and its HTTP server')
  for (const setting of SETTINGS) command.addOption(new Option(flagOf(setting), setting.help))
  command
    .option('--config <file>', 'JSON with the same settings, such as { "dataDir": "./data" }')
    .addHelpText('after', HELP)
    .action((flags) => runServe(flags))
}

const HELP = `
A flag wins over the environment (${variableOf('dataDir')} for --data-dir), and that over the file
of --config (or COLMENA_CONFIG). Several values of one setting: with commas, or the flag again.

Examples:
  colmena serve                                         a node of its own, at http://127.0.0.1:8080
  colmena serve --node-id a --bind 10.0.0.1:9000 --bootstrap --secret-file ./secret
  colmena serve --node-id b --bind 10.0.0.2:9000 --join 10.0.0.1:9000 --secret-file ./secret`

async function runServe(flags: Readonly<Record<string, unknown>>): Promise<void> {
  const config = readServeConfig(flags, process.env)
  // From here on, so that a signal amid a long start is heard.
  const signal = new AbortController()
  const told = untilSignal().then(() => signal.abort())
  const opening = open({ ...config.open, signal: signal.signal })
  let node: ColmenaNode
  try {
    node = await opening
  } catch (error) {
    if (signal.signal.aborted) return
    throw failure(error)
  }
  let server: Server
  try {
    server = await createServer(node, config.server)
  } catch (error) {
    await node.close()
    throw failure(error)
  }
  process.stdout.write(`${describe(node, server, config.open.dataDir)}\n`)
  node.on('warning', ({ code, message }) => process.stderr.write(`${code}: ${message}\n`))
  node.on('slow', ({ database, sql, durationMs }) => {
    process.stderr.write(`slow: ${Math.round(durationMs)} ms on ${database}: ${sql}\n`)
  })
  const failed = new Promise<unknown>((resolve) => {
    node.on('closed', (event) => {
      if (event.reason === 'failed') resolve(event.cause)
    })
  })
  const cause = await Promise.race([told.then(() => null), failed])
  await leave(node, server)
  if (cause !== null) throw new CliError(`the node has failed: ${sentenceOf(cause)}`)
}

/** Within ten seconds, whatever a client or a statement does. */
async function leave(node: ColmenaNode, server: Server): Promise<void> {
  process.stdout.write('leaving\n')
  // A statement that runs on a thread can't be ended, and would hold up the exit.
  setTimeout(() => endAtOnce(0), LEAVE_MS_MAX).unref()
  const signal = AbortSignal.timeout(CUT_AFTER_MS)
  await server.close({ signal })
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
  const isWrong = isWrongOption(error)
  const sentence = isWrong ? withFlags(sentenceOf(error)) : sentenceOf(error)
  return new CliError(sentence, isWrong ? 2 : 1, { cause: error })
}
