import { resolve } from 'node:path'
import type { RunningDemo } from '../demo/demo.ts'
import { sentenceOf, usageError } from './failure.ts'
import { toPort } from './numbers.ts'
import { endAtOnce, untilSignal } from './signals.ts'
import { escapeControls } from './table.ts'

export interface DemoFlags {
  readonly port: string
  readonly host?: string
  readonly dataDir?: string
  readonly fly?: true
  readonly agentPort: string
  readonly name: readonly string[]
}

/** Runs the demo, or one machine of it, until it is told to end. */
export async function runDemoCommand(flags: DemoFlags): Promise<void> {
  await (flags.fly ? runMachineCommand(flags) : runProcessesCommand(flags))
}

async function runProcessesCommand(options: DemoFlags): Promise<void> {
  const { dataDir } = options
  const port = toPort('--port', options.port)
  let isTold = false
  // From here on, so that a signal amid the start leaves nothing behind either.
  const told = untilSignal().then(() => {
    isTold = true
    process.stdout.write('ending the nodes\n')
  })
  // Only now, as it loads the server, which most commands have no use for.
  const { runDemo } = await import('../demo/demo.ts')
  let demo: RunningDemo
  try {
    demo = await runDemo({
      port,
      host: options.host,
      dataDir: dataDir === undefined ? undefined : resolve(dataDir),
      progress: (line) => process.stdout.write(`${line}\n`),
    })
  } catch (error) {
    // Nodes that a terminal's Ctrl-C ended before they had started: that was asked for.
    if (isTold) return
    throw error
  }
  if (!isTold) process.stdout.write(`open ${demo.url} (Ctrl-C ends everything)\n`)
  await told
  await demo.close()
}

/** At a signal `startFly` has the node leave, and ends this process. */
async function runMachineCommand(options: DemoFlags): Promise<void> {
  if (options.dataDir !== undefined) {
    throw usageError('--data-dir is not for --fly: the environment has it, as COLMENA_DATA_DIR')
  }
  const [port, agentPort] = [
    toPort('--port', options.port),
    toPort('--agent-port', options.agentPort),
  ]
  const { fromEnv } = await import('../fly/fly.ts')
  const { runMachine } = await import('../demo/demo.ts')
  const machine = await runMachine({
    fly: { ...fromEnv(), logger: { info: print, warn: print, error: print } },
    port,
    agentPort,
    host: options.host,
    names: options.name,
    progress: print,
  })
  const cause = await machine.failed
  process.stderr.write(`${escapeControls(sentenceOf(cause))}\n`)
  // Fly.io starts the machine again.
  endAtOnce(1)
}

function print(line: string, details?: unknown): void {
  const more = details === undefined ? '' : ` ${JSON.stringify(details)}`
  process.stdout.write(`${escapeControls(line + more)}\n`)
}
