/** What makes jobs by the clock: when next, and what came of the last time. */
import type { JSX } from 'preact'
import { toHash, toJobsHash } from '../cluster/route.ts'
import { formatCount, formatExact } from '../shared/format.ts'
import { ConfirmButton } from '../shared/parts.tsx'
import { type Column, Table } from '../shared/table.tsx'
import { When } from '../shared/when.tsx'
import { type Access, type Action, Outcome, useAction } from './action.tsx'
import type { SentSchedule, SentSchedules } from './api.ts'
import { showList } from './list.tsx'
import { usePolled } from './poll.ts'

export function Schedules({ now, token, enter }: Access & { now: number }): JSX.Element {
  const found = usePolled<SentSchedules>('jobs/schedules', token)
  const action = useAction(token, found.look)
  const { answer, failure } = found
  const columns = columnsAt(now, action)
  return (
    <section aria-labelledby="schedules-title" class="schedules">
      <h2 id="schedules-title">Schedules</h2>
      <Outcome action={action} token={token} enter={enter} />
      {failure !== null && answer === null && (
        <p class="empty">They can not be read now: {failure.message}.</p>
      )}
      {failure === null && answer === null && <p class="empty">Loading.</p>}
      {answer !== null && (
        <Table
          label="Schedules"
          rows={answer.schedules}
          columns={columns}
          empty="None: jobs.schedule makes one, with a cron pattern and a type."
          stacks
          id={({ id }) => id}
        />
      )}
    </section>
  )
}

function columnsAt(now: number, action: Action): readonly Column<SentSchedule>[] {
  return [
    { title: 'schedule', value: ({ id }) => id, show: ({ id }) => <strong>{id}</strong> },
    {
      title: 'makes',
      value: ({ type }) => type,
      show: ({ type }) => (
        <a href={toJobsHash({ type })} onClick={showList}>
          {type}
        </a>
      ),
    },
    {
      title: 'pattern',
      value: ({ pattern }) => pattern,
      show: ({ pattern }) => <code>{pattern}</code>,
    },
    { title: 'zone', value: ({ timeZone }) => timeZone },
    {
      title: 'next',
      value: ({ next }) => (next[0] === undefined ? null : Date.parse(next[0])),
      show: (schedule) => <Next schedule={schedule} now={now} />,
    },
    {
      title: 'last',
      value: ({ lastAt }) => (lastAt === null ? null : Date.parse(lastAt)),
      show: (schedule) => <Last schedule={schedule} now={now} />,
    },
    {
      title: 'made, jobs',
      isNumber: true,
      value: ({ fired }) => fired,
      show: ({ fired }) => formatCount(fired),
    },
    { title: 'missed ticks', value: ({ catchUp }) => catchUps[catchUp] },
    {
      title: 'goes on',
      value: ({ next }) => (next.length === 0 ? 'no' : 'yes'),
      show: (schedule) => <Unschedule schedule={schedule} action={action} />,
    },
  ]
}

const catchUps: Readonly<Record<SentSchedule['catchUp'], string>> = {
  one: 'one for all',
  all: 'each',
  none: 'none',
}

interface CellProps {
  readonly schedule: SentSchedule
  readonly now: number
}

function Next({ schedule, now }: CellProps): JSX.Element {
  const { next, timeZone } = schedule
  const [first, ...rest] = next.map((at) => Date.parse(at))
  if (first === undefined) return <span class="soft">no more</span>
  return (
    <>
      <When at={first} now={now} isAhead />
      {rest.length > 0 && (
        <div class="soft then">
          then{' '}
          {rest.map((at, order) => (
            <span key={at}>
              {order > 0 && ', '}
              <time dateTime={new Date(at).toISOString()} title={formatExact(at)}>
                {formatIn(timeZone, at)}
              </time>
            </span>
          ))}
        </div>
      )}
    </>
  )
}

/** As the pattern means it: by the clock of its zone. */
function formatIn(timeZone: string, at: number): string {
  return new Intl.DateTimeFormat('en-GB', {
    timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
  }).format(at)
}

function Last({ schedule, now }: CellProps): JSX.Element {
  const { lastAt, lastJobId } = schedule
  if (lastAt === null) return <span class="soft">not yet</span>
  const when = <When at={Date.parse(lastAt)} now={now} />
  if (lastJobId === null) return when
  return (
    <a href={toHash({ view: 'job', id: lastJobId })} aria-label={`The last job, ${lastJobId}`}>
      {when}
    </a>
  )
}

interface UnscheduleProps {
  readonly schedule: SentSchedule
  readonly action: Action
}

function Unschedule({ schedule, action }: UnscheduleProps): JSX.Element {
  const { id, next } = schedule
  if (next.length === 0) return <span class="soft">no</span>
  return (
    <ConfirmButton
      label="Unschedule"
      question={`Unschedule ${id}? It makes no more jobs; those that are made stay.`}
      yes="Unschedule it"
      disabled={action.isBusy}
      run={() =>
        action.run({
          path: `jobs/schedules/${encodeURIComponent(id)}/unschedule`,
          done: `${id} makes no more jobs.`,
          late: `Nothing was changed: ${id} had no more times.`,
        })
      }
    />
  )
}
