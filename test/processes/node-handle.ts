import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type {
  EventName,
  FromProcess,
  NodeCalls,
  ProcessError,
  ProcessEvent,
  ReadChange,
  WriteFate,
} from './protocol.ts'
import { DEADLINE_MS } from './wait.ts'

const PROGRAM = new URL('node-process.ts', import.meta.url)

/** NODE_OPTIONS by which a process and its threads load a file first, beside those that are set. */
export function optionsToPreload(file: URL): string {
  return `${process.env['NODE_OPTIONS'] ?? ''} --import=${file.href}`
}

/** The answer to a call was an error of the process that was asked. */
export class RemoteError extends Error {
  override readonly name: string = 'RemoteError'
  readonly code: string
  readonly retryable: boolean | undefined
  readonly outcome: string | undefined
  readonly sqliteCode: number | undefined
  /** The class of the original. */
  readonly kind: string

  constructor(method: string, error: ProcessError) {
    super(`${method}: ${error.code} ${error.message}`)
    this.code = error.code
    this.retryable = error.retryable
    this.outcome = error.outcome
    this.sqliteCode = error.sqliteCode
    this.kind = error.name
  }
}

/** What starts a Node.js, and what stands between its name and that of the script. */
export interface Runtime {
  readonly path: string
  readonly args: readonly string[]
}

export interface NodeHandleOptions {
  readonly report?: (fates: readonly WriteFate[]) => void
  /** Of its process, beside this one's. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** The descriptor that what it prints goes to, in place of this process's own. */
  readonly output?: number | undefined
  readonly runtime?: Runtime
}

const HERE: Runtime = { path: process.execPath, args: [] }

/** Every process of this test that runs: whatever a test does, none is left behind. */
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A process that runs one node, seen from the test. */
export class NodeHandle {
  readonly #child: ChildProcess
  readonly #calls = new Map<number, PromiseWithResolvers<unknown>>()
  readonly #exited: Promise<number | null>
  readonly #report: (fates: readonly WriteFate[]) => void
  #lastId = 0
  /** What it told since it was asked for changes. */
  readonly changes: ReadChange[] = []
  /** What the node emitted, the oldest first. */
  readonly events: ProcessEvent[] = []

  constructor({ report = () => {}, env, output, runtime = HERE }: NodeHandleOptions = {}) {
    this.#report = report
    const { NODE_TEST_CONTEXT: _, ...own } = process.env
    this.#child = fork(PROGRAM, {
      execPath: runtime.path,
      execArgv: [...runtime.args],
      env: { ...own, ...env },
      ...(output === undefined ? {} : { stdio: ['ignore', output, output, 'ipc'] }),
      serialization: 'advanced',
    })
    running.add(this.#child)
    this.#child.on('message', (message) => this.#receive(message as FromProcess))
    this.#exited = once(this.#child, 'exit').then(([code]: readonly (number | null)[]) => {
      running.delete(this.#child)
      for (const { reject } of this.#calls.values()) reject(new Error('the process has ended'))
      this.#calls.clear()
      return code ?? null
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get isRunning(): boolean {
    return running.has(this.#child)
  }

  /** @throws RemoteError what the process answered. */
  call<Name extends keyof NodeCalls>(
    method: Name,
    ...args: Parameters<NodeCalls[Name]>
  ): Promise<ReturnType<NodeCalls[Name]>> {
    this.#lastId += 1
    const id = this.#lastId
    const call = Promise.withResolvers<unknown>()
    if (!this.isRunning) return Promise.reject(new Error(`${method}: the process has ended`))
    this.#calls.set(id, call)
    const overdue = setTimeout(() => {
      call.reject(new Error(`${method} was not answered within ${DEADLINE_MS / 1000} s`))
    }, DEADLINE_MS * 2)
    this.#child.send({ id, method, args }, (error) => {
      if (error !== null) call.reject(error)
    })
    return call.promise.finally(() => {
      clearTimeout(overdue)
      this.#calls.delete(id)
    }) as Promise<ReturnType<NodeCalls[Name]>>
  }

  /** The events of one name. */
  eventsOf<Name extends EventName>(name: Name): readonly ProcessEvent<Name>['event'][] {
    return this.events.filter((event) => event.name === name).map(({ event }) => event) as never
  }

  /** As a power cut is for the process: no handler runs. Resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  /** Asked by a signal to end. Resolves when it is gone: its exit code, null if it was killed. */
  async terminate(): Promise<number | null> {
    this.#child.kill('SIGTERM')
    return await this.#exited
  }

  /** Its own code ends the process, closing nothing. Resolves when it is gone. */
  async exit(): Promise<void> {
    const called = this.call('exit').catch(() => {})
    await Promise.all([called, this.#exited])
  }

  #receive(message: FromProcess): void {
    switch (message.kind) {
      case 'answer':
        this.#calls.get(message.id)?.resolve(message.value)
        break
      case 'failure': {
        const error = new RemoteError('the node', message.error)
        this.#calls.get(message.id)?.reject(error)
        break
      }
      case 'fates':
        this.#report(message.fates)
        break
      case 'change':
        this.changes.push(message.change)
        break
      case 'event':
        this.events.push(message.event)
        break
    }
  }
}
