/** Below the fold: what it is to use, what it promises, and what it does not do. */
import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { BenchFigures, LevelFigure } from '../../src/demo/protocol.ts'
import { formatCount, formatMs } from '../shared/format.ts'
import { CopyButton } from '../shared/parts.tsx'

/** The first code block of the README, put in by the build: the two can't differ. */
declare const README_EXAMPLE: string

interface LevelsProps {
  readonly levels: readonly LevelFigure[]
  readonly hasLeader: boolean
}

export function Product({ levels, hasLeader }: LevelsProps): JSX.Element {
  return (
    <div class="product">
      <section aria-labelledby="example-title">
        <header>
          <h2 id="example-title">Twenty lines</h2>
          <CopyButton text={README_EXAMPLE} what="the example" />
        </header>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by keyboard. */}
        <pre tabIndex={0}>
          <code>{README_EXAMPLE}</code>
        </pre>
      </section>
      <Levels levels={levels} hasLeader={hasLeader} />
      <Throughput />
      <Promises />
      <Docs />
    </div>
  )
}

const levelRows = [
  {
    level: 'none',
    withoutLeader: 'yes',
    sees: 'what this node has, at least all that was written through it',
  },
  {
    level: 'lease',
    withoutLeader: 'for one election timeout',
    sees: 'what this node has, at most one election timeout old; else as weak',
  },
  {
    level: 'weak',
    withoutLeader: 'no: ERR_NO_LEADER',
    sees: 'all that the leader had committed when asked; the default',
  },
  {
    level: 'strong',
    withoutLeader: 'no: ERR_NO_LEADER',
    sees: 'everything committed before the read began: linearizable',
  },
] as const

function Levels({ levels, hasLeader }: LevelsProps): JSX.Element {
  const measured = (level: LevelFigure['level']): string => {
    const p50Ms = levels.find((candidate) => candidate.level === level)?.p50Ms ?? null
    if (p50Ms !== null) return formatMs(p50Ms)
    return hasLeader ? '–' : 'no leader now'
  }
  return (
    <section aria-labelledby="levels-title">
      <h2 id="levels-title">Reading: how sure, and how fast</h2>
      <p class="soft">
        Every read runs on the node’s own file. The level says what must be true first. The medians
        are measured on a follower of this very cluster, now.
      </p>
      <div class="table-box">
        <table>
          <thead>
            <tr>
              <th scope="col">level</th>
              <th scope="col">works without a leader?</th>
              <th scope="col" class="number">
                median, here and now
              </th>
              <th scope="col">what you see</th>
            </tr>
          </thead>
          <tbody>
            {levelRows.map(({ level, withoutLeader, sees }) => (
              <tr key={level}>
                <th scope="row">
                  <code>{level}</code>
                </th>
                <td>{withoutLeader === 'yes' ? <strong>yes</strong> : withoutLeader}</td>
                <td class="number">{measured(level)}</td>
                <td>{sees}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}

/** undefined while they are on their way, null if there are none. */
function useBench(): BenchFigures | null | undefined {
  const [bench, set] = useState<BenchFigures | null | undefined>(undefined)
  useEffect(() => {
    const leaving = new AbortController()
    const load = async (): Promise<void> => {
      try {
        const response = await fetch('api/bench', { signal: leaving.signal })
        set(response.ok ? ((await response.json()) as BenchFigures) : null)
      } catch {
        if (!leaving.signal.aborted) set(null)
      }
    }
    void load()
    return () => leaving.abort()
  }, [])
  return bench
}

function Throughput(): JSX.Element {
  const bench = useBench()
  return (
    <section aria-labelledby="bench-title">
      <h2 id="bench-title">How many writes a second?</h2>
      {bench === undefined && <p class="soft">Loading the figures of the last bench.</p>}
      {bench === null && (
        <p class="soft">
          There are no figures here. Make some: <code>npm run bench</code>
        </p>
      )}
      {bench && <ThroughputTable bench={bench} />}
    </section>
  )
}

function ThroughputTable({ bench }: { bench: BenchFigures }): JSX.Element {
  const rows = listThroughput(bench.figures)
  const most = Math.max(...rows.map(({ perSecond }) => perSecond))
  return (
    <>
      <p class="soft">
        Three nodes; each write is synced by a majority before it is acknowledged. Measured{' '}
        {bench.date} on {bench.machine}, commit <code>{bench.commit}</code>.
      </p>
      <table class="throughput">
        <thead>
          <tr>
            <th scope="col" class="number">
              writers at once
            </th>
            <th scope="col" class="number">
              writes/s
            </th>
            <th scope="col">
              <span class="unseen">as a bar</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ writers, perSecond }) => (
            <tr key={writers}>
              <th scope="row" class="number">
                {writers}
              </th>
              <td class="number">{formatCount(perSecond)}</td>
              <td class="bar-cell" aria-hidden="true">
                <div class="bar-track">
                  <div class="bar-fill" style={{ width: `${(perSecond / most) * 100}%` }} />
                </div>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  )
}

function listThroughput(
  figures: BenchFigures['figures'],
): { readonly writers: number; readonly perSecond: number }[] {
  return Object.entries(figures)
    .flatMap(([id, perSecond]) => {
      const writers = /^write\.cluster\.(\d+)\.perSecond$/.exec(id)?.[1]
      return writers === undefined ? [] : [{ writers: Number(writers), perSecond }]
    })
    .sort((a, b) => a.writers - b.writers)
}

function Promises(): JSX.Element {
  return (
    <section class="promises" aria-label="Guarantees and limits">
      <div>
        <h2>What is promised</h2>
        <ul>
          <li>
            A write that resolved is on the disks of a majority. No crash of a minority takes it
            back.
          </li>
          <li>A write happens once or not at all. Where nobody can know, the error says so.</li>
          <li>All nodes compute the same, with random() and CURRENT_TIMESTAMP as they are.</li>
          <li>
            A lost minority is a pause, not an outage: of three voters one may die, of five two.
          </li>
        </ul>
      </div>
      <div>
        <h2>What it does not do</h2>
        <ul>
          <li>More nodes make reads faster, never writes: one leader orders them all.</li>
          <li>All data is on every node.</li>
          <li>With two of three voters down, writes wait: nobody could say what a majority has.</li>
          <li>
            A statement that writes runs to its end on every node, and holds up those behind it.
          </li>
        </ul>
      </div>
    </section>
  )
}

const pages = [
  ['README.md', 'Start here', 'the first program, what is promised, the limits'],
  ['docs/options.md', 'Options', 'of open and of databases, and what each one costs'],
  ['docs/errors.md', 'Errors', 'each code, whether to retry, what to do'],
  ['ARCHITECTURE.md', 'Architecture', 'threads, rooms, the path of a write and of a read'],
  ['docs/performance.md', 'Performance', 'what the bench measures, and what it printed last'],
  ['docs/testing.md', 'Testing', 'each rule and the test that holds it'],
] as const

function Docs(): JSX.Element {
  return (
    <section id="docs" aria-labelledby="docs-title">
      <h2 id="docs-title">Docs</h2>
      <ul class="docs">
        {pages.map(([href, title, about]) => (
          <li key={href}>
            <a href={href}>{title}</a>: {about}
          </li>
        ))}
      </ul>
    </section>
  )
}
