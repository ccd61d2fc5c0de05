/** The last five minutes: does anything get slower, or stop, when something breaks? */
import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import UPlot from 'uplot'
import type { ChartPoint } from '../../src/demo/protocol.ts'
import 'uplot/dist/uPlot.min.css'
import { formatClock, formatCount, formatMs } from '../shared/format.ts'
import { type FaultMark, placeLabels } from './fault-labels.ts'

const spanSeconds = 300
const heightPx = 260
const laneHeightPx = 16
const lanes = 3

export function Chart({ points }: { points: readonly ChartPoint[] }): JSX.Element {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<UPlot | null>(null)
  const latest = useRef(points)
  latest.current = points
  const [pointedAt, point] = useState<number | null>(null)

  useEffect(() => {
    const element = box.current
    if (element === null) return undefined
    const draw = (): void => {
      plot.current?.destroy()
      const marks = (): FaultMark[] => listFaults(latest.current)
      plot.current = createPlot(element, { marks, point })
      plot.current.setData(toData(latest.current))
    }
    draw()
    const resized = new ResizeObserver(() => {
      plot.current?.setSize({ width: element.clientWidth, height: heightPx })
    })
    resized.observe(element)
    // A canvas does not follow the style sheet: night and day are drawn anew.
    const night = matchMedia('(prefers-color-scheme: dark)')
    night.addEventListener('change', draw)
    return () => {
      night.removeEventListener('change', draw)
      resized.disconnect()
      plot.current?.destroy()
    }
  }, [])
  useEffect(() => plot.current?.setData(toData(points)), [points])

  const shown = points.find(({ at }) => Math.round(at / 1_000) === pointedAt) ?? points.at(-1)
  return (
    <section class="chart" aria-labelledby="chart-title">
      <header>
        <h2 id="chart-title">The last five minutes</h2>
        <Legend point={shown} />
      </header>
      <div class="chart-box" ref={box} role="img" aria-label={summarize(points)} />
      {points.length === 0 && <p class="empty">The first second is not over yet.</p>}
    </section>
  )
}

function Legend({ point }: { point: ChartPoint | undefined }): JSX.Element {
  const latency = (ms: number | null | undefined): string => (ms == null ? '–' : formatMs(ms))
  return (
    <p class="legend figures">
      <span>{point === undefined ? '' : formatClock(point.at)}</span>
      <span>
        <svg viewBox="0 0 24 12" aria-hidden="true">
          <path class="key-area" d="M0 12V5h24v7z" />
        </svg>
        writes/s <b>{point === undefined ? '–' : formatCount(point.writesPerSecond)}</b>
      </span>
      <span>
        <svg viewBox="0 0 24 12" aria-hidden="true">
          <path class="key-p50" d="M0 6h24" />
        </svg>
        p50 <b>{latency(point?.p50Ms)}</b>
      </span>
      <span>
        <svg viewBox="0 0 24 12" aria-hidden="true">
          <path class="key-p99" d="M0 6h24" />
        </svg>
        p99 <b>{latency(point?.p99Ms)}</b>
      </span>
      <span class="legend-fault">{point?.faults.join('; ')}</span>
    </p>
  )
}

/** What the picture says, for those who don't see it. */
function summarize(points: readonly ChartPoint[]): string {
  const last = points.at(-1)
  if (last === undefined) return 'Writes a second and their latency: nothing yet.'
  const faults = points.reduce((sum, point) => sum + point.faults.length, 0)
  const most = Math.max(...points.map(({ p99Ms }) => p99Ms ?? 0))
  const now = formatCount(last.writesPerSecond)
  return (
    `Writes a second and their latency over the last ${points.length} seconds: now ${now} a ` +
    `second, p99 at most ${formatMs(most)}, ${faults} faults.`
  )
}

function listFaults(points: readonly ChartPoint[]): FaultMark[] {
  return points
    .filter(({ faults }) => faults.length > 0)
    .map(({ at, faults }) => ({ at: Math.round(at / 1_000), text: faults.join('; ') }))
}

/** Zero has no place on a logarithmic scale, and a second without writes has no latency. */
function toData(points: readonly ChartPoint[]): UPlot.AlignedData {
  const positive = (ms: number | null): number | null => (ms === null ? null : Math.max(0.1, ms))
  return [
    points.map(({ at }) => Math.round(at / 1_000)),
    points.map(({ writesPerSecond }) => writesPerSecond),
    points.map(({ p50Ms }) => positive(p50Ms)),
    points.map(({ p99Ms }) => positive(p99Ms)),
  ]
}

interface PlotHooks {
  marks(): FaultMark[]
  point(second: number | null): void
}

function createPlot(element: HTMLElement, hooks: PlotHooks): UPlot {
  const style = getComputedStyle(element)
  const color = (name: string): string => style.getPropertyValue(name).trim()
  const [ink, soft, line] = [color('--ink'), color('--soft'), color('--line')]
  const font = `13px ${style.fontFamily}`
  const axis = { stroke: soft, font, ticks: { show: false } }
  const series = { points: { show: false }, width: 1.5 }
  return new UPlot(
    {
      width: element.clientWidth,
      height: heightPx,
      padding: [lanes * laneHeightPx + 8, 0, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: {
        x: { range: () => timeRange() },
        writes: { range: (_, __, max) => [0, Math.max(10, (max ?? 0) * 1.15)] },
        ms: { distr: 3, range: (_, __, max) => [0.1, Math.max(100, max ?? 0) * 1.3] },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 28, space: 88, values: timeTicks },
        { ...axis, scale: 'writes', grid: { stroke: line, width: 1 }, size: 48 },
        { ...axis, scale: 'ms', side: 1, grid: { show: false }, size: 56, values: latencyTicks },
      ],
      series: [
        {},
        {
          ...series,
          scale: 'writes',
          stroke: color('--honey'),
          fill: color('--honey-area'),
          width: 1,
        },
        { ...series, scale: 'ms', stroke: ink },
        { ...series, scale: 'ms', stroke: ink, dash: [4, 4] },
      ],
      hooks: {
        draw: [(plot) => drawMarks(plot, hooks.marks(), { ink, soft, font })],
        setCursor: [
          ({ cursor, data }) =>
            hooks.point(cursor.idx == null ? null : (data[0][cursor.idx] ?? null)),
        ],
      },
    },
    [[], [], [], []],
    element,
  )
}

/** Five minutes up to now, so that a silent cluster moves to the left as well. */
function timeRange(): [number, number] {
  const now = Date.now() / 1_000
  return [now - spanSeconds, now]
}

function timeTicks(_: UPlot, ticks: number[]): string[] {
  return ticks.map((second) => formatClock(second * 1_000))
}

function latencyTicks(_: UPlot, ticks: number[]): string[] {
  return ticks.map((ms) => (Number.isInteger(Math.log10(ms)) && ms >= 1 ? formatAxisMs(ms) : ''))
}

function formatAxisMs(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`
}

interface MarkStyle {
  readonly ink: string
  readonly soft: string
  readonly font: string
}

/** A line through the plot for each fault, and its words above, as far as they have room. */
function drawMarks(plot: UPlot, marks: readonly FaultMark[], style: MarkStyle): void {
  const { ctx, bbox } = plot
  const ratio = devicePixelRatio
  ctx.save()
  ctx.font = style.font.replace('13px', `${13 * ratio}px`)
  ctx.textBaseline = 'middle'
  const placed = placeLabels(
    marks
      .map((mark) => ({ ...mark, x: plot.valToPos(mark.at, 'x', true) }))
      .filter(({ x }) => x >= bbox.left && x <= bbox.left + bbox.width),
    {
      lanes,
      left: bbox.left,
      right: bbox.left + bbox.width,
      gap: 12 * ratio,
      width: (text) => ctx.measureText(text).width,
    },
  )
  for (const { x, lane, text, isLeft } of placed) {
    const top = bbox.top - (lane === null ? 0 : (lane + 1) * laneHeightPx * ratio)
    ctx.strokeStyle = style.soft
    ctx.lineWidth = ratio
    ctx.beginPath()
    ctx.moveTo(x, top)
    ctx.lineTo(x, bbox.top + bbox.height)
    ctx.stroke()
    ctx.fillStyle = style.ink
    ctx.textAlign = isLeft ? 'right' : 'left'
    const textX = x + (isLeft ? -4 : 4) * ratio
    if (lane !== null) ctx.fillText(text, textX, top + (laneHeightPx / 2) * ratio)
  }
  ctx.restore()
}
