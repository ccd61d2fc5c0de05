/** Jobs change without telling a page of it, so what is shown is asked for again and again. */
import { useEffect, useState } from 'preact/hooks'
import { pause, whileSeen } from '../shared/stream.ts'
import { Failure, readJobs } from './api.ts'

const everyMs = 2_000
const answerMsMax = 20_000

interface Known<Answer> {
  /** What it is the answer to; the one before is shown until there is another. */
  readonly path: string | null
  readonly answer: Answer | null
  readonly at: number | null
  /** Of the last try. */
  readonly failure: Failure | null
}

export interface Polled<Answer> extends Omit<Known<Answer>, 'path'> {
  /** Whether the answer is still that to what was asked for before. */
  readonly isOld: boolean
  /** Asks now. */
  look(): void
}

const nothing = { path: null, answer: null, at: null, failure: null }

/** The answer to `path`, anew every few seconds while the page is seen. */
export function usePolled<Answer>(path: string, token: string | null): Polled<Answer> {
  const [known, learn] = useState<Known<Answer>>(nothing)
  const [looks, setLooks] = useState(0)
  useEffect(() => {
    const leaving = new AbortController()
    whileSeen(leaving.signal, (signal) => {
      void poll(path, token, signal, (answer, failure) => {
        if (failure === null) learn({ path, answer: answer as Answer, at: Date.now(), failure })
        else learn((known) => ({ ...(known.path === path ? known : nothing), path, failure }))
      })
    })
    return () => leaving.abort()
  }, [path, token, looks])
  const { answer, at, failure } = known
  const look = (): void => setLooks((count) => count + 1)
  return { answer, at, failure, isOld: known.path !== path, look }
}

async function poll(
  path: string,
  token: string | null,
  signal: AbortSignal,
  learn: (answer: unknown, failure: Failure | null) => void,
): Promise<void> {
  while (!signal.aborted) {
    let answer: unknown = null
    let failure: Failure | null = null
    try {
      const patience = AbortSignal.any([signal, AbortSignal.timeout(answerMsMax)])
      answer = await readJobs(path, token, patience)
    } catch (error) {
      failure = error instanceof Failure ? error : new Failure(null, String(error))
    }
    if (signal.aborted) return
    learn(answer, failure)
    await pause(everyMs, signal)
  }
}
