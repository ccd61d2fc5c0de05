/** The attempts of a job that failed or left a log, the newest first. */
import type { JSX } from 'preact'
import { formatMs } from '../shared/format.ts'
import { When } from '../shared/when.tsx'
import type { SentAttempt, SentJob } from './api.ts'
import { TextBox } from './value.tsx'

interface AttemptsProps {
  readonly attempts: readonly SentAttempt[]
  readonly job: SentJob
  readonly now: number
}

export function Attempts({ attempts, job, now }: AttemptsProps): JSX.Element {
  return (
    <section aria-labelledby="attempts-title" class="attempts">
      <h2 id="attempts-title">Attempts</h2>
      {attempts.length === 0 ? (
        <p class="empty">
          {job.attempt === 0
            ? 'None began yet.'
            : 'None failed or left a log: others are counted, and not kept.'}
        </p>
      ) : (
        <ol>
          {attempts.toReversed().map((attempt) => (
            <Attempt key={attempt.attempt} attempt={attempt} job={job} now={now} />
          ))}
        </ol>
      )}
    </section>
  )
}

interface AttemptProps extends Omit<AttemptsProps, 'attempts'> {
  readonly attempt: SentAttempt
}

function Attempt({ attempt, job, now }: AttemptProps): JSX.Element {
  const { attempt: number, outcome, nodeId, startedAt, endedAt, error, log } = attempt
  const tookMs = startedAt === null ? null : Date.parse(endedAt) - Date.parse(startedAt)
  return (
    <li>
      <h3>
        Attempt {number}: {outcome}
      </h3>
      <p class="soft figures">
        {nodeId !== null && `on ${nodeId}, `}ended <When at={Date.parse(endedAt)} now={now} />
        {tookMs !== null && tookMs >= 0 && `, took ${formatMs(tookMs)}`}
      </p>
      {error !== null &&
        (error === job.error && number === job.attempt ? (
          <p>With the error above.</p>
        ) : (
          <TextBox title={`error of attempt ${number}`} text={error} />
        ))}
      {log !== null && <TextBox title={`log of attempt ${number}`} text={log} />}
    </li>
  )
}
