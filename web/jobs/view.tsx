/** The jobs of the cluster: how they stand, and then the queues, or one of them. */
import type { JSX } from 'preact'
import { useRef } from 'preact/hooks'
import type { JobState } from '../../src/jobs/jobs.ts'
import type { Right } from '../cluster/api.ts'
import type { Route } from '../cluster/route.ts'
import { TokenForm } from '../cluster/token.tsx'
import { formatClock, formatCount } from '../shared/format.ts'
import { type Report, Strip } from '../shared/parts.tsx'
import type { Access } from './action.tsx'
import type { SentStats } from './api.ts'
import { JobView } from './job.tsx'
import { JobList } from './list.tsx'
import { type Polled, usePolled } from './poll.ts'
import { Queues } from './queues.tsx'
import { Schedules } from './schedules.tsx'

interface JobsViewProps extends Access {
  readonly route: Exclude<Route, { readonly view: 'cluster' }>
  readonly nodeId: string | null
  readonly right: Right | null
}

export function JobsView(props: JobsViewProps): JSX.Element {
  const { route, nodeId, right, token, enter } = props
  const stats = usePolled<SentStats>('jobs/stats', token)
  const rate = useRate(stats)
  const { answer, at, failure } = stats
  const now = at ?? Date.now()
  const access = { token, enter }
  if (failure?.isRefused) {
    return (
      <>
        <h1 tabIndex={-1}>Jobs</h1>
        <p>{failure.message}.</p>
        <TokenForm hadOne={token !== null} enter={enter} />
      </>
    )
  }
  if (failure?.status === 404) return <NoJobs message={failure.message} />
  const strip = (
    <Strip report={describe(stats)}>
      {answer !== null && <Here nodeId={nodeId} stats={answer} rate={rate} />}
    </Strip>
  )
  if (route.view === 'job')
    return <JobView key={route.id} id={route.id} strip={strip} {...access} />
  return (
    <>
      <h1 tabIndex={-1}>Jobs of this cluster</h1>
      {strip}
      {answer !== null && (
        <>
          {right === 'read' && (
            <p class="soft">This token may only read: what changes something is refused.</p>
          )}
          <Queues types={answer.types} look={stats.look} {...access} />
          <JobList
            filter={route.filter}
            types={answer.types.map(({ type }) => type)}
            token={token}
          />
          <Schedules now={now} {...access} />
        </>
      )}
    </>
  )
}

function NoJobs({ message }: { message: string }): JSX.Element {
  const report: Report = { kind: 'waits', title: 'There are no jobs here:', text: `${message}.` }
  return (
    <>
      <h1 tabIndex={-1}>Jobs</h1>
      <Strip report={report} />
      <p>
        This page shows them by itself once they are there:{' '}
        <a href="docs/server.md">how a server gets them</a>.
      </p>
    </>
  )
}

/** The most urgent first. */
function describe({ answer, at, failure }: Polled<SentStats>): Report {
  if (failure !== null) {
    const shown = at === null ? '' : ` What you see is from ${formatClock(at)}.`
    const advice = failure.status === null ? ' Is the node still running?' : ''
    const text = `Trying again by itself: ${failure.message}.${shown}${advice}`
    const isAway = failure.status === null
    const title = isAway ? 'The connection is lost.' : 'The jobs can not be read now.'
    return { kind: 'broken', title, text }
  }
  if (answer === null) {
    return { kind: 'waits', title: 'Connecting.', text: 'The first figures arrive in a moment.' }
  }
  const { types } = answer
  const dead = sum(types, 'dead')
  const look = dead === 0 ? 'None is dead.' : `${formatCount(dead)} dead: somebody should look.`
  const paused = types.filter(({ isPaused }) => isPaused).map(({ type }) => type)
  if (paused.length === 0) return { kind: 'well', title: 'Going on.', text: look }
  return { kind: 'waits', title: `Paused: ${listFew(paused)}.`, text: look }
}

function sum(types: SentStats['types'], state: JobState): number {
  return types.reduce((total, { counts }) => total + counts[state], 0)
}

function listFew(names: readonly string[]): string {
  const more = names.length - 3
  const few = names.slice(0, 3).join(', ')
  return more > 0 ? `${few} and ${formatCount(more)} more` : few
}

interface HereProps {
  readonly nodeId: string | null
  readonly stats: SentStats
  readonly rate: number | null
}

/**
 * Figures that change all the time, so not in the line that is read aloud. Of the others a node
 * knows only what is in the tables, so how fast it runs them is said of itself alone.
 */
function Here({ nodeId, stats, rate }: HereProps): JSX.Element {
  const { executed, failed, running } = stats.node
  const waiting = sum(stats.types, 'waiting') + sum(stats.types, 'pending')
  const all = `${formatCount(waiting)} to do, ${formatCount(sum(stats.types, 'running'))} running`
  const speed = rate === null ? '' : `${formatRate(rate)} jobs/s, `
  const ended = `${formatCount(failed)} of them failed`
  const total = `${formatCount(executed)} run since its start, ${ended}`
  return (
    <span class="soft figures">
      {all}. {nodeId ?? 'This node'}: {speed}
      {formatCount(running)} running now, {total}
    </span>
  )
}

function formatRate(perSecond: number): string {
  return perSecond < 10 ? perSecond.toFixed(1) : formatCount(perSecond)
}

interface Sample {
  readonly executed: number
  readonly at: number
  readonly perSecond: number | null
}

/** Two answers close together would make a figure out of chance. */
const sampleMsMin = 1_000

/** Jobs that this node ran in a second, from two answers; null until there are two. */
function useRate({ answer, at }: Polled<SentStats>): number | null {
  const last = useRef<Sample | null>(null)
  if (answer === null || at === null) return null
  const { executed } = answer.node
  const before = last.current
  // A node that began anew counts from nothing.
  if (before === null || executed < before.executed) {
    last.current = { executed, at, perSecond: null }
  } else if (at - before.at >= sampleMsMin) {
    const perSecond = ((executed - before.executed) * 1_000) / (at - before.at)
    last.current = { executed, at, perSecond }
  }
  return last.current?.perSecond ?? null
}
