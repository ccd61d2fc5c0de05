import { type ChildProcess, fork } from 'node:child_process'
import { ColmenaError, type ErrorCode } from '../index.ts'
import type { FromNode, NodeCalls, NodeReport, WriteFate, WriteOrder } from './ipc.ts'

/** What a node process tells, as it happens. */
export interface NodeListener {
  fates(fates: readonly WriteFate[]): void
  report(report: NodeReport): void
  leader(leaderId: string | null, term: number): void
  applied(index: number, at: number): void
  exited(): void
}

// The sources run as they are and as they are built: the entry ends as this very file does.
const ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? 'node-process.ts' : 'node-process.js',
  import.meta.url,
)

/** A process that ends takes its nodes along, before it removes their folder. */
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** One life of a node: a process that the supervisor started. */
export class NodeHandle {
  readonly #child: ChildProcess
  readonly #listener: NodeListener
  readonly #calls = new Map<number, PromiseWithResolvers<unknown>>()
  readonly #exited = Promise.withResolvers<void>()
  #lastId = 0
  #isGone = false

  constructor(listener: NodeListener) {
    this.#listener = listener
    const stdio: ('ignore' | 'inherit' | 'ipc')[] = ['ignore', 'ignore', 'inherit', 'ipc']
    this.#child = fork(ENTRY, { execArgv: [], serialization: 'advanced', stdio })
    running.add(this.#child)
    this.#child.on('message', (message) => this.#receive(message as FromNode))
    this.#child.on('error', () => {
      // Its pipe closes a moment before its end is known. One that never began has no end.
      if (this.#child.pid === undefined) this.#gone()
    })
    this.#child.on('exit', () => this.#gone())
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get isGone(): boolean {
    return this.#isGone
  }

  /** @throws ColmenaError what the node answered, or ERR_CLOSED if its process ended first. */
  call<Name extends keyof NodeCalls>(
    method: Name,
    ...args: Parameters<NodeCalls[Name]>
  ): Promise<ReturnType<NodeCalls[Name]>> {
    if (this.#isGone) return Promise.reject(goneError(method))
    this.#lastId += 1
    const id = this.#lastId
    const call = Promise.withResolvers<unknown>()
    this.#calls.set(id, call)
    this.#child.send({ kind: 'call', id, method, args })
    return call.promise.finally(() => this.#calls.delete(id)) as Promise<
      ReturnType<NodeCalls[Name]>
    >
  }

  write(writes: readonly WriteOrder[]): void {
    if (!this.#isGone) this.#child.send({ kind: 'write', writes })
  }

  /** As a power cut is for the process: no handler runs. Resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited.promise
  }

  #receive(message: FromNode): void {
    switch (message.kind) {
      case 'answer':
        this.#calls.get(message.id)?.resolve(message.value)
        break
      case 'failure': {
        const { code, message: text, retryable } = message.error
        this.#calls
          .get(message.id)
          ?.reject(new ColmenaError(code as ErrorCode, text, { retryable }))
        break
      }
      case 'fates':
        this.#listener.fates(message.fates)
        break
      case 'report':
        this.#listener.report(message.report)
        break
      case 'leader':
        this.#listener.leader(message.leaderId, message.term)
        break
      case 'applied':
        this.#listener.applied(message.index, message.at)
        break
    }
  }

  #gone(): void {
    this.#isGone = true
    running.delete(this.#child)
    this.#exited.resolve()
    for (const { reject } of this.#calls.values()) reject(goneError('a call'))
    this.#calls.clear()
    this.#listener.exited()
  }
}

function goneError(what: string): ColmenaError {
  return new ColmenaError('ERR_CLOSED', `${what} was not answered: the node's process has ended`)
}
