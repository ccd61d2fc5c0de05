import { resolve } from 'node:path'
import type { RunningDemo } from '../demo/demo.ts'
import { toPort } from './numbers.ts'
import { untilSignal } from './signals.ts'

/** Runs the demo until it is told to end. */
export async function runDemoCommand(options: {
  readonly port: string
  readonly host: string
  readonly dataDir?: string
}): Promise<void> {
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
