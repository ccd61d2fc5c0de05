/** The live demo: four real nodes, what happens to them, and the means to break them. */
import { type JSX, render } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { DemoState, Tally } from '../../src/demo/protocol.ts'
import '../shared/base.css'
import '../shared/parts.css'
import './demo.css'
import './product.css'
import './phone.css'
import { formatCount, formatMs } from '../shared/format.ts'
import { CopyButton, Head, type Report, reportLink, Strip } from '../shared/parts.tsx'
import { Cards } from './cards.tsx'
import { Chart } from './chart.tsx'
import { ControlPanel } from './controls.tsx'
import { Log } from './log.tsx'
import { Product } from './product.tsx'
import { type DemoStore, type DemoView, openStore } from './store.ts'

/** The browser writes now and then, so that there is something to see from the beginning. */
const ownWriteMs = 3_000
const install = 'npm i colmena'
const leads = {
  processes:
    'Four real processes on this machine keep one SQLite database. Kill one or cut it off: the ' +
    'others carry on, and it catches up by itself.',
  machines:
    'Real machines, each with a disk of its own, keep one SQLite database. Kill the node of one: ' +
    'the others carry on, and it catches up by itself.',
} as const

function Page(): JSX.Element {
  const [view, setView] = useState<DemoView | null>(null)
  const store = useRef<DemoStore | null>(null)
  useEffect(() => {
    const closing = new AbortController()
    store.current = openStore(setView, closing.signal)
    return () => closing.abort()
  }, [])
  const state = view?.state ?? null
  const isLive = view?.link.state === 'live' && state !== null
  useOwnWrites(store.current, state, isLive)
  return (
    <>
      <DemoHead />
      <main id="main" data-site={state?.site}>
        <h1>Watch a {state?.nodes.length ?? 4}-node cluster heal itself.</h1>
        <p class="lead">{leads[state?.site ?? 'processes']}</p>
        <Sums tally={state?.tally ?? null} />
        <Strip report={describe(view)} />
        <Cards
          view={view}
          isLive={isLive}
          act={(node, action) => store.current?.act(node, action)}
        />
        <div class="middle">
          <Log rows={view?.rows ?? []} isLoading={state === null} />
          <ControlPanel state={state} isLive={isLive} store={store} />
        </div>
        <Chart points={view?.points ?? []} />
        <Product levels={state?.levels ?? []} hasLeader={hasLeader(state)} />
      </main>
    </>
  )
}

function DemoHead(): JSX.Element {
  return (
    <Head>
      <span class="install">
        <code>{install}</code>
        <CopyButton text={install} what="the install command" />
      </span>
      <nav aria-label="More">
        <a href="#docs">Docs</a>
        <a href="ARCHITECTURE.md">Source</a>
      </nav>
    </Head>
  )
}

/** Posts a write at a node of chance every few seconds; a page that nobody sees posts none. */
function useOwnWrites(store: DemoStore | null, state: DemoState | null, isLive: boolean): void {
  const isWriting = isLive && state !== null && !state.controls.isPaused
  const ids = state?.nodes.filter(({ isRunning }) => isRunning).map(({ id }) => id) ?? []
  const latest = useRef(ids)
  latest.current = ids
  useEffect(() => {
    if (!isWriting || store === null) return undefined
    const write = (): void => {
      const node = latest.current[Math.floor(Math.random() * latest.current.length)]
      if (node !== undefined && !document.hidden) store.write({ node })
    }
    const timer = setInterval(write, ownWriteMs)
    return () => clearInterval(timer)
  }, [isWriting, store])
}

function Sums({ tally }: { tally: Tally | null }): JSX.Element {
  const show = (count: number | undefined): string =>
    count === undefined ? '–' : formatCount(count)
  const alarm = (count: number | undefined): string => ((count ?? 0) > 0 ? 'sum is-alarm' : 'sum')
  return (
    <dl class="sums" aria-label="Running sum">
      <div class="sum">
        <dt>acknowledged</dt>
        <dd data-sum="acknowledged">{show(tally?.acknowledged)}</dd>
      </div>
      <div class="sum">
        <dt>on every node</dt>
        <dd data-sum="everywhere">{show(tally?.everywhere)}</dd>
      </div>
      <div class={alarm(tally?.lost)}>
        <dt>lost</dt>
        <dd data-sum="lost">{show(tally?.lost)}</dd>
      </div>
      <div class={alarm(tally?.duplicated)}>
        <dt>duplicated</dt>
        <dd data-sum="duplicated">{show(tally?.duplicated)}</dd>
      </div>
      <div class="sum">
        <dt>longest pause</dt>
        <dd data-sum="pause">{tally === null ? '–' : formatMs(tally.longestPauseMs)}</dd>
      </div>
    </dl>
  )
}

/** Before anything is known there is no reason to say that there is none. */
function hasLeader(state: DemoState | null): boolean {
  return state === null || state.nodes.some(({ role, isRunning }) => isRunning && role === 'leader')
}

/** The one line above the cards: what a visitor should know now, the most urgent first. */
function describe(view: DemoView | null): Report {
  const advice =
    view?.state?.site === 'machines'
      ? 'If it stays so: fly status'
      : 'If it stays so, start it again: npm run demo'
  const link = reportLink(view?.link ?? { state: 'connecting' }, view?.lastHeard ?? null, advice)
  if (link !== null || view?.state == null) {
    return link ?? { kind: 'waits', title: 'Connecting.', text: '' }
  }
  if (view.refusal !== null) return { kind: 'waits', title: 'Not done.', text: view.refusal }
  const { notice, nodes, controls } = view.state
  if (notice !== null) return { kind: 'broken', ...notice }
  const up = nodes.filter(({ isRunning, isCutOff }) => isRunning && !isCutOff)
  const away = nodes.filter((node) => !up.includes(node)).map(({ id }) => id)
  const leader = up.find(({ role }) => role === 'leader')
  const leads = leader === undefined ? 'A leader is being elected.' : `${leader.id} leads.`
  const pause = controls.isPaused ? ' Writes are paused.' : ''
  if (up.length < nodes.length) {
    const verb = away.length === 1 ? 'is' : 'are'
    const text = `${away.join(' and ')} ${verb} away, the others carry on. ${leads}${pause}`
    return { kind: 'waits', title: `${up.length} of ${nodes.length} nodes are at work.`, text }
  }
  return { kind: 'well', title: 'All nodes are at work.', text: leads + pause }
}

const root = document.getElementById('page')
if (root !== null) {
  root.replaceChildren()
  render(<Page />, root)
}
