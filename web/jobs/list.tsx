/** Jobs by state and type, searched, a page at a time: the server finds them, the newest first. */
import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { allJobs, type JobFilter, toHash, toJobsHash } from '../cluster/route.ts'
import { When } from '../shared/when.tsx'
import { type SentJob, type SentPage, STATES } from './api.ts'
import { StateMark } from './marks.tsx'
import { usePolled } from './poll.ts'
import { toLine } from './value.tsx'

const pageJobs = 25

interface JobListProps {
  readonly filter: JobFilter
  readonly types: readonly string[]
  readonly token: string | null
}

export function JobList({ filter, types, token }: JobListProps): JSX.Element {
  const page = usePolled<SentPage>(toPath(filter), token)
  const { answer, at, failure, isOld } = page
  return (
    <section aria-labelledby="list-title" class="job-list">
      <h2 id="list-title" tabIndex={-1}>
        {describeFilter(filter)}
      </h2>
      <Filter filter={filter} types={types} />
      {failure !== null && answer === null && (
        <div class="mistake" role="status">
          <p>
            <strong>Not found out:</strong> {failure.message}. <a href={toJobsHash({})}>All jobs</a>
          </p>
        </div>
      )}
      {failure === null && answer === null && <p class="empty">Loading.</p>}
      {answer !== null && (
        <div aria-busy={isOld}>
          <Rows jobs={answer.jobs} filter={filter} now={at ?? Date.now()} />
          <Turns filter={filter} next={answer.next} />
        </div>
      )}
    </section>
  )
}

/** For a link from elsewhere in the page: what it filters is brought to who followed it. */
export function showList(): void {
  const title = document.getElementById('list-title')
  title?.scrollIntoView()
  title?.focus({ preventScroll: true })
}

function toPath({ state, type, tag, search, pages }: JobFilter): string {
  const params = new URLSearchParams({ limit: `${pageJobs}` })
  const before = `${pages.at(-1) ?? ''}`
  for (const [name, value] of Object.entries({ state, type, tag, search, before })) {
    if (value !== '') params.set(name, value)
  }
  return `jobs?${params}`
}

function isAny(filter: JobFilter): boolean {
  return [filter.state, filter.type, filter.tag, filter.search].every((text) => text === '')
}

function describeFilter({ state, type }: JobFilter): string {
  const what = state === '' ? 'Jobs' : `Jobs that are ${state}`
  return type === '' ? what : `${what}, of ${type}`
}

function Filter({ filter, types }: Pick<JobListProps, 'filter' | 'types'>): JSX.Element {
  const [search, setSearch] = useState(filter.search)
  const [tag, setTag] = useState(filter.tag)
  // The address may change by other ways than this form.
  useEffect(() => setSearch(filter.search), [filter.search])
  useEffect(() => setTag(filter.tag), [filter.tag])
  const go = (part: Partial<JobFilter>): void => {
    location.hash = toJobsHash({ ...filter, search: search.trim(), tag: tag.trim(), ...part })
  }
  const known = filter.type === '' || types.includes(filter.type) ? types : [filter.type, ...types]
  return (
    <form
      class="job-filter"
      onSubmit={(event) => {
        event.preventDefault()
        go({ pages: [] })
      }}
    >
      <Choice
        label="state"
        value={filter.state}
        options={STATES}
        choose={(state) => go({ state, pages: [] })}
      />
      <Choice
        label="type"
        value={filter.type}
        options={known}
        choose={(type) => go({ type, pages: [] })}
      />
      <label>
        tag{' '}
        <input
          type="text"
          maxLength={128}
          value={tag}
          onInput={({ currentTarget }) => setTag(currentTarget.value)}
        />
      </label>
      <label class="job-search">
        <span class="unseen">A part of the id, key, arguments or error</span>
        <input
          type="search"
          placeholder="Part of id, key, arguments or error"
          value={search}
          onInput={({ currentTarget }) => setSearch(currentTarget.value)}
        />
      </label>
      <button type="submit">Search</button>
      {!isAny(filter) && <a href={toJobsHash({})}>All jobs</a>}
    </form>
  )
}

interface ChoiceProps {
  readonly label: string
  readonly value: string
  readonly options: readonly string[]
  choose(value: string): void
}

function Choice({ label, value, options, choose }: ChoiceProps): JSX.Element {
  return (
    <label>
      {label}{' '}
      <select value={value} onChange={({ currentTarget }) => choose(currentTarget.value)}>
        <option value="">any</option>
        {options.map((option) => (
          <option key={option} value={option}>
            {option}
          </option>
        ))}
      </select>
    </label>
  )
}

interface RowsProps {
  readonly jobs: readonly SentJob[]
  readonly filter: JobFilter
  readonly now: number
}

function Rows({ jobs, filter, now }: RowsProps): JSX.Element {
  if (jobs.length === 0) {
    if (filter.pages.length > 0) return <p class="empty">There are no older ones.</p>
    return (
      <p class="empty">
        {isAny(filter)
          ? 'None yet: jobs.enqueue makes one. Finished ones are removed after a while.'
          : 'None is like that. Ask for less, or look at all jobs.'}
      </p>
    )
  }
  return (
    <div class="table-box">
      <table class="job-rows">
        <thead>
          <tr>
            <th scope="col">job</th>
            <th scope="col">state</th>
            <th scope="col">attempts</th>
            <th scope="col">arguments</th>
            <th scope="col">result, error or progress</th>
            <th scope="col" class="number">
              when
            </th>
          </tr>
        </thead>
        <tbody>
          {jobs.map((job) => (
            <Row key={job.id} job={job} now={now} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Row({ job, now }: { job: SentJob; now: number }): JSX.Element {
  const { id, type, state, attempt, maxAttempts, args } = job
  return (
    <tr>
      <td class="job-name">
        <a href={toHash({ view: 'job', id })} aria-label={`${type}, job ${id}`}>
          <strong>{type}</strong>
        </a>
        <code class="soft">{id}</code>
      </td>
      <td class="job-in">
        <StateMark state={state} />
      </td>
      <td class="job-attempts figures">
        {attempt} of {maxAttempts}
      </td>
      <td class="job-text">
        <code>{toLine(args)}</code>
      </td>
      <td class="job-text job-note">
        <code>{describeNote(job)}</code>
      </td>
      <td class="number job-when">
        <WhenOf job={job} now={now} />
      </td>
    </tr>
  )
}

function describeNote({ state, progress, result, error }: SentJob): string {
  if (error !== null) return error.split('\n', 1)[0] ?? ''
  if (state === 'succeeded') return toLine(result)
  return progress === null ? '' : toLine(progress)
}

/** The moment that matters of a job, by its state. */
export function WhenOf({ job, now }: { job: SentJob; now: number }): JSX.Element {
  const { state, runAt, startedAt, finishedAt, enqueuedAt } = job
  if (finishedAt !== null) return moment('ended', finishedAt, now)
  if (state === 'running' && startedAt !== null) return moment('began', startedAt, now)
  if (state === 'waiting') return moment('made', enqueuedAt, now)
  const isAhead = Date.parse(runAt) > now
  return isAhead ? moment('runs', runAt, now, true) : moment('ready', runAt, now)
}

function moment(word: string, at: string, now: number, isAhead = false): JSX.Element {
  return (
    <span>
      {word} <When at={Date.parse(at)} now={now} isAhead={isAhead} />
    </span>
  )
}

function Turns({ filter, next }: { filter: JobFilter; next: number | null }): JSX.Element | null {
  const { pages } = filter
  if (pages.length === 0 && next === null) return null
  const turn = (to: readonly number[]): void => {
    location.hash = toHash({ view: 'jobs', filter: { ...allJobs, ...filter, pages: to } })
    showList()
  }
  return (
    <nav class="pager figures" aria-label="Pages of jobs">
      <button type="button" disabled={pages.length === 0} onClick={() => turn(pages.slice(0, -1))}>
        Before
      </button>
      <span>Page {pages.length + 1}</span>
      <button
        type="button"
        disabled={next === null}
        onClick={() => next !== null && turn([...pages, next])}
      >
        Next
      </button>
    </nav>
  )
}
