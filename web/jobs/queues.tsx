/** A row per type: what there is of it, how long it waits, what limits it, whether it goes on. */
import type { JSX } from 'preact'
import type { JobState, TypeStats } from '../../src/jobs/jobs.ts'
import { toJobsHash } from '../cluster/route.ts'
import { formatCount, formatMs } from '../shared/format.ts'
import { type Column, Table } from '../shared/table.tsx'
import { type Access, type Action, Outcome, useAction } from './action.tsx'
import { STATES } from './api.ts'
import { showList } from './list.tsx'

interface QueuesProps extends Access {
  readonly types: readonly TypeStats[]
  look(): void
}

export function Queues({ types, look, token, enter }: QueuesProps): JSX.Element {
  const action = useAction(token, look)
  const columns: readonly Column<TypeStats>[] = [
    { title: 'type', value: ({ type }) => type, show: showType },
    ...STATES.map(countColumn),
    {
      title: 'oldest waits',
      isNumber: true,
      value: ({ waitedMs }) => waitedMs,
      show: ({ waitedMs }) => (waitedMs === 0 ? <span class="soft">–</span> : formatMs(waitedMs)),
    },
    {
      title: 'limits',
      value: ({ limits }) => describeLimits(limits).join('; '),
      show: ({ limits }) => <LimitsOf limits={limits} />,
    },
    {
      title: 'goes on',
      value: ({ isPaused }) => (isPaused ? 'paused' : 'yes'),
      show: (stats) => <PauseButton stats={stats} action={action} />,
    },
  ]
  return (
    <section aria-labelledby="queues-title" class="queues">
      <h2 id="queues-title">Queues</h2>
      {types.length > 0 && (
        <p class="soft">
          Jobs of a paused type begin on no node, until it is resumed; those that run go on.
        </p>
      )}
      <Outcome action={action} token={token} enter={enter} />
      <Table
        label="Queues"
        rows={types}
        columns={columns}
        empty="No type is known yet: the first handler or job of one makes its row."
        stacks
        id={({ type }) => type}
      />
    </section>
  )
}

function showType({ type, isPaused }: TypeStats): JSX.Element {
  return (
    <>
      <a href={toJobsHash({ type })} onClick={showList}>
        <strong>{type}</strong>
      </a>
      {isPaused && <span class="soft">, paused</span>}
    </>
  )
}

function countColumn(state: JobState): Column<TypeStats> {
  return {
    title: state,
    isNumber: true,
    value: ({ counts }) => counts[state],
    show: ({ type, counts }) => {
      const count = formatCount(counts[state])
      if (counts[state] === 0) return <span class="soft">0</span>
      return (
        <a
          href={toJobsHash({ type, state })}
          aria-label={`${count} ${state} of ${type}`}
          onClick={showList}
        >
          {count}
        </a>
      )
    },
  }
}

function LimitsOf({ limits }: Pick<TypeStats, 'limits'>): JSX.Element {
  const parts = describeLimits(limits)
  if (parts.length === 0) return <span class="soft">none</span>
  return (
    <>
      {parts.map((part) => (
        <div key={part}>{part}</div>
      ))}
    </>
  )
}

function describeLimits(limits: TypeStats['limits']): readonly string[] {
  const { concurrency, rate, keyConcurrency, keyRate } = limits
  const parts: string[] = []
  if (concurrency !== null) parts.push(`${formatCount(concurrency)} at a time`)
  if (rate !== null) parts.push(describeRate(rate))
  if (keyConcurrency !== null) parts.push(`of a key ${formatCount(keyConcurrency)} at a time`)
  if (keyRate !== null) parts.push(`of a key ${describeRate(keyRate)}`)
  return parts
}

function describeRate({ max, perMs }: { readonly max: number; readonly perMs: number }): string {
  return `${formatCount(max)} begin in ${formatMs(perMs)}`
}

function PauseButton({ stats, action }: { stats: TypeStats; action: Action }): JSX.Element {
  const { type, isPaused } = stats
  const path = `jobs/types/${encodeURIComponent(type)}/${isPaused ? 'resume' : 'pause'}`
  const done = isPaused
    ? `${type} goes on.`
    : `${type} is paused: none of it begins until it is resumed.`
  return (
    <button
      type="button"
      aria-label={`${isPaused ? 'Resume' : 'Pause'} ${type}`}
      disabled={action.isBusy}
      onClick={() => action.run({ path, done, late: 'Nothing was changed.' })}
    >
      {isPaused ? 'Resume' : 'Pause'}
    </button>
  )
}
