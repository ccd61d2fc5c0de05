import { resolve } from 'node:path'
import { runDemo } from '../demo/demo.ts'
import { toPort } from './numbers.ts'
import { untilSignal } from './signals.ts'

/** Runs the demo until it is told to end. */
export async function runDemoCommand(options: {
  readonly port: string
  readonly host: string
  readonly dataDir?: string
}): Promise<void> {
  const { dataDir } = options
  const demo = await runDemo({
    port: toPort('--port', options.port),
    host: options.host,
    dataDir: dataDir === undefined ? undefined : resolve(dataDir),
    progress: (line) => process.stdout.write(`${line}\n`),
  })
  process.stdout.write(`open ${demo.url} (Ctrl-C ends everything)\n`)
  await untilSignal()
  process.stdout.write('ending the nodes\n')
  await demo.close()
}
