/** The state of a job as shape and as word: neither needs the other, and neither needs colour. */
import type { JSX } from 'preact'
import type { JobState } from '../../src/jobs/jobs.ts'

const signs: Readonly<Record<JobState, string>> = {
  waiting: '',
  pending: '',
  running: 'M10 8l6 4-6 4z',
  succeeded: 'M8 12.5l3 3 5-6',
  failed: 'M9 9l6 6M15 9l-6 6',
  dead: 'M9 9l6 6M15 9l-6 6',
  cancelled: 'M6 18L18 6',
}

export function StateMark({ state, note }: { state: JobState; note?: string }): JSX.Element {
  return (
    <span class={`job-state job-${state}`}>
      <svg viewBox="0 0 24 24" aria-hidden="true">
        <circle cx="12" cy="12" r="9" />
        {signs[state] !== '' && <path d={signs[state]} />}
      </svg>
      <span>
        {state}
        {note !== undefined && <span class="soft">, {note}</span>}
      </span>
    </span>
  )
}
