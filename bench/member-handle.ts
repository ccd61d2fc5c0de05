/** A process of the bench, seen from the one that measures. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { FromMember, MemberCalls } from './protocol.ts'

const CALL_TIMEOUT_MS = 180_000

const running = new Set<MemberHandle>()
process.on('exit', () => {
  for (const member of running) member.end()
})

/** Ends what a part left running: none of it may be there when the next one measures. */
export async function endAllMembers(): Promise<void> {
  await Promise.all([...running].map((member) => member.kill()))
}

export class MemberHandle {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #calls = new Map<number, PromiseWithResolvers<unknown>>()
  #lastId = 0

  constructor(program: string) {
    this.#child = fork(program, { execArgv: [], serialization: 'advanced' })
    running.add(this)
    this.#child.on('message', (message: FromMember) => {
      const call = this.#calls.get(message.id)
      if (message.failure === undefined) call?.resolve(message.value)
      else call?.reject(new Error(message.failure))
    })
    this.#exited = once(this.#child, 'exit').then(() => {
      running.delete(this)
      for (const { reject } of this.#calls.values()) reject(new Error('the process has ended'))
    })
  }

  get isRunning(): boolean {
    return running.has(this)
  }

  /** @throws Error what went wrong over there, or that it took too long. */
  async call<Name extends keyof MemberCalls>(
    method: Name,
    ...args: Parameters<MemberCalls[Name]>
  ): Promise<ReturnType<MemberCalls[Name]>> {
    if (!this.isRunning) throw new Error(`${method}: the process has ended`)
    this.#lastId += 1
    const id = this.#lastId
    const call = Promise.withResolvers<unknown>()
    this.#calls.set(id, call)
    const overdue = setTimeout(() => {
      call.reject(new Error(`${method} was not answered within ${CALL_TIMEOUT_MS / 1_000} s`))
    }, CALL_TIMEOUT_MS)
    this.#child.send({ id, method, args }, (error) => {
      if (error !== null) call.reject(error)
    })
    try {
      return (await call.promise) as ReturnType<MemberCalls[Name]>
    } finally {
      clearTimeout(overdue)
      this.#calls.delete(id)
    }
  }

  /** The signal alone; no handler of it runs. */
  end(): void {
    this.#child.kill('SIGKILL')
  }

  /** Resolves when the process is gone. */
  async kill(): Promise<void> {
    this.end()
    await this.#exited
  }
}
