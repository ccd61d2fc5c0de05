/** The page that every node serves: how the cluster is, as this node knows it. */
import { type JSX, render } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import '../shared/base.css'
import '../shared/parts.css'
import './cluster.css'
import '../jobs/jobs.css'
import type { NodeStatus } from '../../src/index.ts'
import { JobsView } from '../jobs/view.tsx'
import { formatSpan } from '../shared/format.ts'
import { RoleMark } from '../shared/marks.tsx'
import { Head, type Report, reportLink, Strip } from '../shared/parts.tsx'
import { keepToken, openMetrics, type Right, readRight, readToken } from './api.ts'
import { Backup } from './backup.tsx'
import { Members, Terms } from './members.tsx'
import { QueryBox } from './query.tsx'
import { allJobs, type Route, toHash, useRoute } from './route.ts'
import { Databases, LogState, Slow, Warnings } from './state.tsx'
import { type ClusterView, followCluster, nothing } from './store.ts'
import { TokenForm } from './token.tsx'

function Page(): JSX.Element {
  const [token, setToken] = useState(readToken)
  const [view, setView] = useState<ClusterView>(nothing)
  const right = useRight(token, view.link.state)
  const route = useRoute()
  useTitle(route)
  useEffect(() => {
    const leaving = new AbortController()
    setView(nothing)
    followCluster(token, setView, leaving.signal)
    return () => leaving.abort()
  }, [token])
  const enter = (entered: string): void => {
    keepToken(entered)
    // With the token at once, or the form would say of the new one what is known of the old.
    if (entered !== token) setView(nothing)
    setToken(entered)
  }
  const { link, status } = view
  const isRefused = link.state === 'lost' && (link.status === 401 || link.status === 403)
  return (
    <>
      <Head>
        {status !== null && <span class="soft">version {status.version}</span>}
        <nav class="views" aria-label="Views">
          <ViewLink to={{ view: 'cluster' }} isHere={route.view === 'cluster'} words="Cluster" />
          <ViewLink
            to={{ view: 'jobs', filter: allJobs }}
            isHere={route.view !== 'cluster'}
            words="Jobs"
          />
        </nav>
        <nav aria-label="More">
          <a href="metrics" onClick={(event) => showMetrics(event, token)}>
            Metrics
          </a>
          <a href="README.md">Docs</a>
        </nav>
      </Head>
      <main id="main">
        {isRefused ? (
          <>
            <h1 tabIndex={-1}>{route.view === 'cluster' ? 'This cluster' : 'Jobs'}</h1>
            <TokenForm hadOne={token !== null} enter={enter} />
          </>
        ) : route.view === 'cluster' ? (
          <ClusterViewOf view={view} right={right} token={token} />
        ) : (
          <JobsView
            key={token}
            route={route}
            nodeId={status?.nodeId ?? null}
            right={right}
            token={token}
            enter={enter}
          />
        )}
      </main>
    </>
  )
}

interface ViewLinkProps {
  readonly to: Route
  readonly isHere: boolean
  readonly words: string
}

function ViewLink({ to, isHere, words }: ViewLinkProps): JSX.Element {
  return (
    <a href={toHash(to)} {...(isHere ? { 'aria-current': 'page' } : {})}>
      {words}
    </a>
  )
}

/** Another view is another page to whoever hears it: its name is the title, and has the focus. */
function useTitle(route: Route): void {
  const isFirst = useRef(true)
  const place = route.view === 'job' ? route.id : route.view
  useEffect(() => {
    document.title = route.view === 'cluster' ? 'Colmena: this cluster' : 'Colmena: jobs'
    if (!isFirst.current) {
      scrollTo(0, 0)
      document.querySelector('h1')?.focus({ preventScroll: true })
    }
    isFirst.current = false
  }, [place])
}

interface ClusterViewProps {
  readonly view: ClusterView
  readonly right: Right | null
  readonly token: string | null
}

function ClusterViewOf({ view, right, token }: ClusterViewProps): JSX.Element {
  const { status } = view
  const now = view.lastHeard ?? Date.now()
  return (
    <>
      <h1 tabIndex={-1}>
        {status === null ? 'This cluster' : `This cluster, as ${status.nodeId} knows it`}
      </h1>
      <Strip report={describe(view)}>{status !== null && <Self status={status} />}</Strip>
      {status !== null && (
        <>
          <Members status={status} members={view.members} />
          <div class="halves">
            <Terms terms={status.terms} now={now} />
            <LogState status={status} />
          </div>
          {view.backup !== null && <Backup backup={view.backup} now={now} />}
          <QueryBox
            databases={status.databases.map(({ name }) => name)}
            nodeId={status.nodeId}
            right={right}
            token={token}
          />
          <div class="halves">
            <Databases databases={status.databases} />
            <Slow slow={view.slow} now={now} />
          </div>
          <Warnings warnings={view.warnings} now={now} />
        </>
      )}
    </>
  )
}

function showMetrics(event: Event, token: string | null): void {
  if (token === null) return
  event.preventDefault()
  void openMetrics(token)
}

function useRight(token: string | null, state: ClusterView['link']['state']): Right | null {
  const [right, setRight] = useState<Right | null>(null)
  useEffect(() => {
    if (state !== 'live') return
    // If it can't be had the server still decides; the page only says less.
    readRight(token).then(setRight, () => setRight(null))
  }, [token, state])
  return right
}

function Self({ status }: { status: NodeStatus }): JSX.Element {
  const role = status.isLearner
    ? 'learner'
    : status.role === 'precandidate'
      ? 'candidate'
      : status.role
  return (
    <>
      <RoleMark role={role} note={`term ${status.term}`} />
      <span class="soft">
        Node.js {status.nodejsVersion}, SQLite {status.sqliteVersion}
      </span>
    </>
  )
}

/** The most urgent first. */
function describe({ link, lastHeard, status, backup }: ClusterView): Report {
  const lost = reportLink(link, lastHeard, 'Is the node still running?')
  if (lost !== null) return lost
  if (status === null)
    return { kind: 'waits', title: 'Connected.', text: 'Waiting for the status.' }
  if (status.haltedReason !== null) {
    return { kind: 'broken', title: 'This node applies nothing.', text: status.haltedReason }
  }
  if (status.leader === null) {
    const text = 'Writes wait, and so do reads of all levels but none, lease after a moment.'
    return { kind: 'broken', title: 'No leader is known here.', text }
  }
  if (status.notReadyReason !== null) {
    return { kind: 'waits', title: 'This node is not ready.', text: status.notReadyReason }
  }
  const failing = backup?.targets.find(({ failuresInRow }) => failuresInRow > 0)
  if (failing !== undefined) {
    const text = `Nothing reaches the backup in ${failing.label}: see below.`
    return { kind: 'waits', title: 'Ready.', text }
  }
  if (status.engineMix === 'mixed') {
    const text = 'Members run different builds of SQLite. It is watched; make them equal soon.'
    return { kind: 'waits', title: 'Ready.', text }
  }
  if (status.durability.mode === 'relaxed') {
    const text =
      'Its durability is relaxed: if it stops unclosed, up to 100 ms of writes may be lost.'
    return { kind: 'waits', title: 'Ready.', text }
  }
  const term = status.terms.at(-1)
  const since = term === undefined ? '' : ` for ${formatSpan(Date.now() - term.sinceMs)}`
  return { kind: 'well', title: 'Ready.', text: `${status.leader.id} has led${since}.` }
}

const root = document.getElementById('page')
if (root !== null) {
  root.replaceChildren()
  render(<Page />, root)
}
