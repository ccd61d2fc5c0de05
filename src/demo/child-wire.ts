import { type ChildProcess, fork } from 'node:child_process'
import type { OpenOptions } from '../index.ts'
import type { OpenWire } from './node-handle.ts'
import type { FromNode } from './node-messages.ts'

// The sources run as they are and as they are built: the entry ends as this very file does.
const ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? '../demo/node-process.ts' : '../demo/node-process.js',
  import.meta.url,
)

/** A process that ends takes its nodes along, before it removes their folder. */
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts a process, which opens a node. */
export function forkNode(options: OpenOptions): OpenWire {
  return ({ received, ended }) => {
    const stdio: ('ignore' | 'inherit' | 'ipc')[] = ['ignore', 'ignore', 'inherit', 'ipc']
    const child = fork(ENTRY, { execArgv: [], serialization: 'advanced', stdio })
    running.add(child)
    const end = (): void => {
      running.delete(child)
      ended()
    }
    const kill = (): void => void child.kill('SIGKILL')
    child.on('message', (message) => received(message as FromNode))
    child.on('error', () => {
      // Its pipe closes a moment before its end is known. One that never began has no end.
      if (child.pid === undefined) end()
    })
    child.on('exit', end)
    child.send({ kind: 'open', options })
    return { pid: child.pid ?? null, send: (message) => child.send(message), kill, close: kill }
  }
}
