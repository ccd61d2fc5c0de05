/** One job: what it is to do, what came of it, each attempt, and what may be done about it. */
import type { ComponentChildren, JSX } from 'preact'
import { toHash, toJobsHash } from '../cluster/route.ts'
import { formatCount, formatMs } from '../shared/format.ts'
import { ConfirmButton, CopyButton } from '../shared/parts.tsx'
import { When } from '../shared/when.tsx'
import { type Access, type Action, Outcome, useAction } from './action.tsx'
import type { SentJob, SentJobAndAttempts } from './api.ts'
import { Attempts } from './attempts.tsx'
import { WhenOf } from './list.tsx'
import { StateMark } from './marks.tsx'
import { usePolled } from './poll.ts'
import { TextBox, Value } from './value.tsx'

interface JobViewProps extends Access {
  readonly id: string
  /** How the jobs of the cluster stand. */
  readonly strip: JSX.Element
}

export function JobView({ id, strip, token, enter }: JobViewProps): JSX.Element {
  const found = usePolled<SentJobAndAttempts>(`jobs/job/${encodeURIComponent(id)}`, token)
  const action = useAction(token, found.look)
  const { answer, at, failure } = found
  const now = at ?? Date.now()
  return (
    <>
      <div class="job-title">
        <a href={toJobsHash({})}>All jobs</a>
        <h1 tabIndex={-1}>{answer === null ? 'Job' : answer.job.type}</h1>
        <p class="job-id">
          <code>{id}</code> <CopyButton text={id} what="the id" />
        </p>
      </div>
      {strip}
      {failure?.status === 404 && (
        <p role="status">
          <strong>It is not there:</strong> {failure.message}. Jobs that are finished are removed
          after a while.
        </p>
      )}
      {failure !== null && failure.status !== 404 && answer === null && (
        <p class="empty">It can not be read now: {failure.message}.</p>
      )}
      {failure === null && answer === null && <p class="empty">Loading.</p>}
      {answer !== null && (
        <>
          <Facts job={answer.job} now={now} />
          <div>
            <Actions job={answer.job} now={now} action={action} />
            <Outcome action={action} token={token} enter={enter} />
          </div>
          <Values job={answer.job} />
          <Attempts attempts={answer.attempts} job={answer.job} now={now} />
        </>
      )}
    </>
  )
}

function Facts({ job, now }: { job: SentJob; now: number }): JSX.Element {
  const { startedAt, finishedAt, uniqueKey, concurrencyKey } = job
  const facts: (readonly [string, ComponentChildren])[] = [
    ['state', <StateMark key="state" state={job.state} />],
    ['when', <WhenOf key="when" job={job} now={now} />],
    ['attempts', `${job.attempt} of ${job.maxAttempts}`],
    ['priority', formatCount(job.priority)],
    ['made', <When key="made" at={Date.parse(job.enqueuedAt)} now={now} />],
    ['an attempt may take', formatMs(job.timeoutMs)],
  ]
  if (startedAt !== null && finishedAt !== null) {
    const tookMs = Date.parse(finishedAt) - Date.parse(startedAt)
    if (tookMs >= 0) facts.push(['the last one took', formatMs(tookMs)])
  }
  if (job.nodeId !== null) facts.push([job.state === 'running' ? 'on' : 'last on', job.nodeId])
  if (uniqueKey !== null) facts.push(['unique key', <code key="key">{uniqueKey}</code>])
  if (concurrencyKey !== null)
    facts.push(['limits count by', <code key="lane">{concurrencyKey}</code>])
  if (job.tags.length > 0) {
    facts.push([
      'tags',
      job.tags.map((tag) => (
        <a key={tag} href={toJobsHash({ tag })}>
          {tag}
        </a>
      )),
    ])
  }
  if (job.after.length > 0) {
    const links = job.after.map((id) => (
      <a key={id} href={toHash({ view: 'job', id })}>
        <code>{id}</code>
      </a>
    ))
    facts.push(['runs after', links])
  }
  return (
    <dl class="state job-facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

interface ActionsProps {
  readonly job: SentJob
  readonly now: number
  readonly action: Action
}

/** What its state allows, each with what will come of it. */
function Actions({ job, now, action }: ActionsProps): JSX.Element | null {
  const { id, state, runAt } = job
  const path = `jobs/job/${encodeURIComponent(id)}`
  const late = 'Nothing was changed: meanwhile it came to another state.'
  const { isBusy, run } = action
  if (state === 'succeeded') return null
  const isOver = job.finishedAt !== null
  const isAhead = state === 'pending' && Date.parse(runAt) > now
  return (
    <ul class="job-actions">
      {isOver && (
        <li>
          <button
            type="button"
            disabled={isBusy}
            onClick={() => run({ path: `${path}/retry`, done: 'It is to run again.', late })}
          >
            Retry
          </button>
          <span class="soft">
            It runs again, now, with up to {describeAttempts(job.maxAttempts)}; steps that were done
            are not done again.
          </span>
        </li>
      )}
      {isAhead && (
        <li>
          <button
            type="button"
            disabled={isBusy}
            onClick={() => run({ path: `${path}/run`, done: 'Its time is now.', late })}
          >
            Run now
          </button>
          <span class="soft">It does not wait for its time, but for a free worker.</span>
        </li>
      )}
      {!isOver && (
        <li>
          <ConfirmButton
            label="Cancel"
            question={`Cancel this job? ${describeCancel(state)}`}
            yes="Cancel it"
            disabled={isBusy}
            run={() => run({ path: `${path}/cancel`, done: describeCancelled(state), late })}
          />
        </li>
      )}
    </ul>
  )
}

function describeAttempts(count: number): string {
  return count === 1 ? '1 attempt' : `${formatCount(count)} attempts`
}

function describeCancel(state: SentJob['state']): string {
  if (state !== 'running') return 'It will not run, and jobs that wait for it fail.'
  return 'Its handler is told to end, and has the last word: it may still succeed.'
}

function describeCancelled(state: SentJob['state']): string {
  return state === 'running' ? 'Its handler is told to end.' : 'It is cancelled.'
}

function Values({ job }: { job: SentJob }): JSX.Element {
  const { args, progress, result, error, state } = job
  return (
    <section aria-labelledby="values-title" class="job-values">
      <h2 id="values-title">Arguments and result</h2>
      <Value title="arguments" value={args} />
      {progress !== null && <Value title="progress" value={progress} />}
      {state === 'succeeded' && <Value title="result" value={result} />}
      {error !== null && <TextBox title="error" text={error} />}
    </section>
  )
}
