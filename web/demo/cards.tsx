/** The four nodes: who each is, how far it is, what happens to it; the buttons that break it. */
import type { JSX } from 'preact'
import type { NodeCard } from '../../src/demo/protocol.ts'
import { formatBytes, formatCount, formatMs, formatSpan } from '../shared/format.ts'
import { Bar, RoleMark, Sign, Sparkline } from '../shared/marks.tsx'
import { type DemoView, isLevel, type NodeAction } from './store.ts'

type Act = (node: string, action: NodeAction) => void

interface CardsProps {
  readonly view: DemoView | null
  readonly isLive: boolean
  readonly act: Act
}

const placeholders = ['node-1', 'node-2', 'node-3', 'node-4'] as const
/** A pause is made up for in a moment, and that is no catching up. */
const scaleRoom = 1.5

export function Cards({ view, isLive, act }: CardsProps): JSX.Element {
  const nodes = view?.state?.nodes ?? []
  const max = findScale(view)
  return (
    <section class="cards" aria-label="Nodes">
      {view === null || nodes.length === 0
        ? placeholders.map((id) => <EmptyCard key={id} id={id} />)
        : nodes.map((node) => (
            <Card
              key={node.id}
              node={node}
              mostBehind={view.mostBehind.get(node.id) ?? 0}
              sparkMax={max}
              isLive={isLive}
              canCut={view.state?.site === 'processes'}
              act={act}
            />
          ))}
    </section>
  )
}

/**
 * One for all, so that the four lines can be compared: what the cluster acknowledged. A node that
 * catches up applies a hundred times as much, and leaves the picture rather than flatten the rest.
 */
function findScale(view: DemoView | null): number {
  const lastMinute = view?.points.slice(-60).map(({ writesPerSecond }) => writesPerSecond) ?? []
  return Math.max(1, ...lastMinute) * scaleRoom
}

function EmptyCard({ id }: { id: string }): JSX.Element {
  return (
    <article class="card" aria-label={id}>
      <h2>{id}</h2>
      <p class="soft">Not heard of yet.</p>
    </article>
  )
}

interface CardProps {
  readonly node: NodeCard
  readonly mostBehind: number
  readonly sparkMax: number
  readonly isLive: boolean
  /** Between machines the links are not the demo's to cut. */
  readonly canCut: boolean
  readonly act: Act
}

function Card({ node, mostBehind, sparkMax, isLive, canCut, act }: CardProps): JSX.Element {
  const { id, role, isCutOff, isRunning, lagEntries } = node
  const level = isLevel(node)
  const part = level ? 1 : mostBehind === 0 ? 0 : 1 - lagEntries / mostBehind
  const now = node.appliedPerSecond.at(-1) ?? 0
  return (
    <article class={isRunning ? 'card' : 'card is-gone'} aria-label={id} data-node={id}>
      <header>
        <h2>{id}</h2>
        <span class="soft figures">term {formatCount(node.term)}</span>
      </header>
      <RoleMark role={role} {...(isCutOff ? { note: 'cut off' } : {})} />
      <p class="story" aria-live="polite">
        {node.story}
      </p>
      <Bar label={`${id}: applied`} part={part} text={describeLag(node, level)} isLevel={level} />
      <div class="pace">
        <Sparkline values={node.appliedPerSecond} max={sparkMax} />
        <span class="figures">
          {formatCount(now)}
          <span class="soft"> writes/s</span>
        </span>
      </div>
      <Facts node={node} />
      <CardButtons node={node} isLive={isLive} canCut={canCut} act={act} />
    </article>
  )
}

function describeLag(node: NodeCard, level: boolean): string {
  if (level) return 'level'
  const entries = `−${formatCount(node.lagEntries)} entries`
  return node.isRunning && node.lagMs > 0 ? `${entries}, ${formatMs(node.lagMs)}` : entries
}

function Facts({ node }: { node: NodeCard }): JSX.Element {
  const up = node.startedAt === null ? '–' : formatSpan(Date.now() - node.startedAt)
  const facts: readonly (readonly [string, string])[] = [
    ['leader', node.leaderId ?? 'none known'],
    ['commit', formatCount(node.commitIndex)],
    ['applied', formatCount(node.appliedIndex)],
    ['up', up],
    ['memory', node.isRunning ? formatBytes(node.memoryBytes) : '–'],
  ]
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

function CardButtons({
  node,
  isLive,
  canCut,
  act,
}: Pick<CardProps, 'node' | 'isLive' | 'canCut' | 'act'>): JSX.Element {
  const { id, isCutOff, isRunning, role } = node
  const link = isCutOff ? 'join' : 'cut'
  const linkWords = isCutOff ? 'Join again' : 'Cut off'
  const canStepDown = role === 'leader' && isRunning
  return (
    <div class="buttons">
      <button
        type="button"
        disabled={!isLive || !isRunning}
        aria-label={`Restart ${id}: kill its process and start it again`}
        onClick={() => act(id, 'restart')}
      >
        <Sign name="restart" />
        Restart
      </button>
      {canCut && (
        <button
          type="button"
          disabled={!isLive}
          aria-label={`${linkWords}: ${id}`}
          onClick={() => act(id, link)}
        >
          <Sign name={link} />
          {linkWords}
        </button>
      )}
      <button
        type="button"
        class={canStepDown ? '' : 'is-absent'}
        disabled={!isLive || !canStepDown}
        aria-label={`Step down: ${id} hands leadership to another`}
        onClick={() => act(id, 'step-down')}
      >
        <Sign name="down" />
        Step down
      </button>
    </div>
  )
}
