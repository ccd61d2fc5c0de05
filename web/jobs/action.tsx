/** What somebody does to jobs: one thing at a time, and what became of it in words. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { TokenForm } from '../cluster/token.tsx'
import { Failure, tellJobs } from './api.ts'

/** Who may read and do, as far as the page knows. */
export interface Access {
  readonly token: string | null
  enter(token: string): void
}

export interface Deed {
  readonly path: string
  /** Said once it is done. */
  readonly done: string
  /** Said where it was too late for it. */
  readonly late: string
}

export interface Action {
  readonly isBusy: boolean
  readonly outcome: string | Failure | null
  run(deed: Deed): void
}

/** `over` is called once it is known what became of it. */
export function useAction(token: string | null, over: () => void): Action {
  const [isBusy, setBusy] = useState(false)
  const [outcome, settle] = useState<Action['outcome']>(null)
  const act = async ({ path, done, late }: Deed): Promise<void> => {
    setBusy(true)
    settle(null)
    try {
      settle((await tellJobs(path, token)) ? done : late)
    } catch (error) {
      settle(error instanceof Failure ? error : new Failure(null, String(error)))
    }
    setBusy(false)
    over()
  }
  return { isBusy, outcome, run: (deed) => void act(deed) }
}

interface OutcomeProps extends Access {
  readonly action: Action
}

export function Outcome({ action, token, enter }: OutcomeProps): JSX.Element {
  const { outcome } = action
  const why = 'Enter one that may, and do it again.'
  return (
    <div class="outcome" aria-live="polite">
      {typeof outcome === 'string' && <p>{outcome}</p>}
      {outcome instanceof Failure && (
        <div class="mistake">
          <p>
            <strong>Not done:</strong> {outcome.message}.
          </p>
          {outcome.isRefused && <TokenForm hadOne={token !== null} why={why} enter={enter} />}
        </div>
      )}
    </div>
  )
}
