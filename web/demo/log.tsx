/** What was written and what happened, the newest first. */
import { Component, type JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { LogRow, WriteRow } from '../../src/demo/protocol.ts'
import { formatClock, formatCount, formatMs } from '../shared/format.ts'

const rowsMax = 100

/**
 * While somebody points at a row, or has scrolled down to older ones, the rows stay where they are:
 * those that come meanwhile wait, and are counted.
 */
export function Log({
  rows,
  isLoading,
}: {
  rows: readonly LogRow[]
  isLoading: boolean
}): JSX.Element {
  const [newestShown, hold] = useState<number | null>(null)
  const isOver = useRef(false)
  const [isEventsOnly, setEventsOnly] = useState(false)
  const isSettled = useSettled(rows.length > 0)
  const wanted = isEventsOnly ? rows.filter(({ kind }) => kind === 'event') : rows
  const held = newestShown === null ? [] : wanted.filter(({ key }) => key > newestShown)
  const shown = wanted.slice(held.length, held.length + rowsMax)
  const look = (box: HTMLElement): void => {
    if (!isOver.current && box.scrollTop === 0) hold(null)
    else hold((key) => key ?? wanted[0]?.key ?? 0)
  }
  const point = (box: HTMLElement, isInside: boolean): void => {
    isOver.current = isInside
    look(box)
  }
  return (
    <div class="log">
      <header>
        <h2 id="log-title">Event log</h2>
        <span class="soft figures">
          {held.length > 0 && `${held.length} newer, while you read`}
        </span>
        <label class="check">
          <input
            type="checkbox"
            checked={isEventsOnly}
            onChange={({ currentTarget }) => setEventsOnly(currentTarget.checked)}
          />
          faults and elections only
        </label>
      </header>
      <RowHead />
      <section
        class="log-rows"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by keyboard.
        tabIndex={0}
        aria-labelledby="log-title"
        onPointerEnter={({ currentTarget }) => point(currentTarget, true)}
        onPointerLeave={({ currentTarget }) => point(currentTarget, false)}
        onScroll={({ currentTarget }) => look(currentTarget)}
      >
        {shown.length === 0 && (
          <p class="empty">
            {isLoading ? 'Waiting for the first rows.' : describeEmpty(isEventsOnly)}
          </p>
        )}
        <ol class={isSettled ? 'is-settled' : ''}>
          {shown.map((row) => (
            <Row key={row.key} row={row} />
          ))}
        </ol>
      </section>
    </div>
  )
}

function RowHead(): JSX.Element {
  return (
    <div class="row row-head soft" aria-hidden="true">
      <span>time</span>
      <span>text</span>
      <span>received ▸ applied by</span>
      <span>term/index</span>
      <span class="latency-key">
        {['committed', 'applied', 'everywhere'].map((part) => (
          <span key={part}>
            <i class={part} /> {part}{' '}
          </span>
        ))}
      </span>
    </div>
  )
}

function describeEmpty(isEventsOnly: boolean): string {
  return isEventsOnly
    ? 'Nothing has happened yet. Restart a node.'
    : 'No write yet. Press “Write now”.'
}

/** True once the first rows were drawn: those come all at once, and nothing moved. */
function useSettled(hasRows: boolean): boolean {
  const [isSettled, settle] = useState(false)
  const frame = useRef<number | undefined>(undefined)
  useEffect(() => {
    if (!hasRows) return undefined
    frame.current = requestAnimationFrame(() => settle(true))
    return () => cancelAnimationFrame(frame.current ?? 0)
  }, [hasRows])
  return isSettled
}

/** Drawn again only if it changed: a hundred rows, four times a second, are not. */
class Row extends Component<{ row: LogRow }> {
  override shouldComponentUpdate({ row }: { row: LogRow }): boolean {
    return row !== this.props.row
  }

  render(): JSX.Element {
    const { row } = this.props
    if (row.kind === 'write') return <WriteLine row={row} />
    return (
      <li class="row row-event" data-kind="event">
        <time class="figures soft">{formatClock(row.at)}</time>
        <strong>{row.text}</strong>
      </li>
    )
  }
}

function WriteLine({ row }: { row: WriteRow }): JSX.Element {
  const place = row.index === null ? '' : `${row.term ?? '?'}/${formatCount(row.index)}`
  return (
    <li class="row row-write" data-kind="write" data-outcome={row.outcome}>
      <time class="figures soft">{formatClock(row.at)}</time>
      <span class="text">
        {/* What is written from right to left turns nothing else around. */}
        <bdi>{row.text}</bdi>
        {row.error !== null && <span class="error"> {describeOutcome(row)}</span>}
      </span>
      <span class="route">
        <span class="unseen">received by </span>
        {row.receivedBy}
        <span class="soft"> ▸ </span>
        <span class="unseen">applied as leader by </span>
        {row.appliedBy ?? '…'}
      </span>
      <code class="place">{place}</code>
      <Latency row={row} />
    </li>
  )
}

function describeOutcome({ outcome, error }: WriteRow): string {
  if (outcome === 'unknown') return `Nobody knows yet: ${error}`
  return outcome === 'not-applied' ? `Not written: ${error}` : `${error}`
}

/** From 1 ms to 10 s: a write that waited for an election must fit beside one that did not. */
const widthDecades = 4

function Latency({
  row: { committedMs, appliedMs, everywhereMs, outcome },
}: {
  row: WriteRow
}): JSX.Element {
  if (committedMs === null) {
    return <span class="latency soft">{outcome === 'pending' ? 'waiting' : ''}</span>
  }
  const applied = Math.max(committedMs, appliedMs ?? committedMs)
  const total = Math.max(applied, everywhereMs ?? applied)
  const width = Math.min(1, Math.max(0.04, Math.log10(Math.max(1, total)) / widthDecades + 0.04))
  const share = (from: number, to: number): string =>
    `${total === 0 ? 0 : ((to - from) / total) * 100}%`
  const parts = `${formatMs(committedMs)} → ${everywhereMs === null ? '…' : formatMs(everywhereMs)}`
  return (
    <span class="latency">
      <span class="latency-track" aria-hidden="true">
        <span class="latency-bar" style={{ width: `${width * 100}%` }}>
          <i class="committed" style={{ width: share(0, committedMs) }} />
          <i class="applied" style={{ width: share(committedMs, applied) }} />
          <i class="everywhere" style={{ width: share(applied, total) }} />
        </span>
      </span>
      <span class="figures">
        <span class="unseen">committed and on all nodes after </span>
        {parts}
      </span>
    </span>
  )
}
