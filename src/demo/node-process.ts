/** One node of the demo in a process of its own; the supervisor tells it over IPC what to do. */
import { type OpenOptions, open } from '../index.ts'
import { NodeAgent, toFailure } from './node-agent.ts'
import type { FromNode, ToNode } from './node-messages.ts'

let agent: NodeAgent | null = null

process.on('message', (message: ToNode) => {
  if (message.kind === 'open') void openNode(message.options)
  else if (message.kind === 'kill') process.kill(process.pid, 'SIGKILL')
  else if (agent !== null) agent.receive(message)
  else if (message.kind === 'call') refuse(message.id)
})
// A terminal's Ctrl-C reaches all processes at once: the supervisor ends this one.
process.on('SIGINT', () => {})
// The supervisor is gone. Not by exit(), which a statement that runs would hold up.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))

async function openNode(options: OpenOptions): Promise<void> {
  try {
    const node = await open(options)
    node.on('closed', ({ cause }) => endWith(cause))
    agent = new NodeAgent(node, tell)
  } catch (error) {
    tell({ kind: 'not-opened', error: toFailure(error) })
  }
}

function refuse(id: number): void {
  const error = toFailure(new Error('this process has opened no node yet'))
  tell({ kind: 'failure', id, error })
}

function endWith(cause: unknown): void {
  process.stderr.write(`a node of the demo ended: ${String(cause)}\n`)
  process.kill(process.pid, 'SIGKILL')
}

function tell(message: FromNode): void {
  // While the supervisor ends there is nobody to tell.
  if (process.connected) process.send?.(message)
}
