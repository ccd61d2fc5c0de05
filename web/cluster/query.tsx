/** The query box: a statement, and what came of it, when, where and at which level. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { formatCount, formatMs } from '../shared/format.ts'
import { type Column, Table } from '../shared/table.tsx'
import { type Level, type QueryResult, type Right, runQuery, type WireValue } from './api.ts'
import { findMistake, type Mistake } from './mistake.ts'

interface QueryBoxProps {
  readonly databases: readonly string[]
  readonly nodeId: string
  readonly right: Right | null
  readonly token: string | null
}

type Outcome =
  | { readonly state: 'idle' }
  | { readonly state: 'running' }
  | { readonly state: 'done'; readonly result: QueryResult }
  | { readonly state: 'failed'; readonly message: string; readonly mistake: Mistake | null }

const levels: Readonly<Record<Level, string>> = {
  none: 'none: what this node has',
  lease: 'lease: the same, if it is young',
  weak: 'weak: what the leader has',
  strong: 'strong: linearizable',
}

export function QueryBox({ databases, nodeId, right, token }: QueryBoxProps): JSX.Element {
  const [sql, setSql] = useState('SELECT name FROM sqlite_schema ORDER BY name')
  const [wanted, choose] = useState('main')
  const [level, setLevel] = useState<Level>('weak')
  const [outcome, settle] = useState<Outcome>({ state: 'idle' })
  const database = databases.includes(wanted) ? wanted : (databases[0] ?? 'main')
  const run = async (event: Event): Promise<void> => {
    event.preventDefault()
    settle({ state: 'running' })
    try {
      settle({ state: 'done', result: await runQuery({ database, sql, level }, token) })
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      settle({ state: 'failed', message, mistake: findMistake(sql, message) })
    }
  }
  return (
    <section aria-labelledby="query-title">
      <h2 id="query-title">Query</h2>
      <form class="query" onSubmit={(event) => void run(event)}>
        <textarea
          aria-label="SQL"
          rows={4}
          spellcheck={false}
          value={sql}
          onInput={({ currentTarget }) => setSql(currentTarget.value)}
        />
        <div class="query-options">
          <Choice label="database" value={database} options={databases} choose={choose} />
          <label>
            level{' '}
            <select
              value={level}
              onChange={({ currentTarget }) => setLevel(currentTarget.value as Level)}
            >
              {Object.entries(levels).map(([name, words]) => (
                <option key={name} value={name}>
                  {words}
                </option>
              ))}
            </select>
          </label>
          <button type="submit" class="main" disabled={outcome.state === 'running'}>
            {outcome.state === 'running' ? 'Running' : 'Run'}
          </button>
          <span class="soft">{describeRight(right)}</span>
        </div>
      </form>
      <div aria-live="polite">
        <Answer outcome={outcome} nodeId={nodeId} />
      </div>
    </section>
  )
}

interface ChoiceProps {
  readonly label: string
  readonly value: string
  readonly options: readonly string[]
  choose(value: string): void
}

function Choice({ label, value, options, choose }: ChoiceProps): JSX.Element {
  const shown = options.length === 0 ? [value] : options
  return (
    <label>
      {label}{' '}
      <select value={value} onChange={({ currentTarget }) => choose(currentTarget.value)}>
        {shown.map((option) => (
          <option key={option} value={option}>
            {option}
          </option>
        ))}
      </select>
    </label>
  )
}

function describeRight(right: Right | null): string {
  if (right === null) return ''
  return right === 'read' ? 'Read-only: what would write is refused.' : 'Statements may write.'
}

function Answer({ outcome, nodeId }: { outcome: Outcome; nodeId: string }): JSX.Element | null {
  if (outcome.state === 'idle') return null
  if (outcome.state === 'running') return <p class="soft">Waiting for the answer.</p>
  if (outcome.state === 'failed') {
    const { message, mistake } = outcome
    return (
      <div class="mistake">
        <p>
          <strong>Failed.</strong> {message}
        </p>
        {mistake !== null && (
          <pre>
            {mistake.before}
            <mark>{mistake.at}</mark>
            {mistake.after}
          </pre>
        )}
      </div>
    )
  }
  return <Rows result={outcome.result} nodeId={nodeId} />
}

function Rows({ result, nodeId }: { result: QueryResult; nodeId: string }): JSX.Element {
  const { columns, rows, changes, level, durationMs, node } = result
  const isWrite = columns.length === 0
  const count = isWrite ? `${countRows(changes)} changed` : countRows(rows.length)
  const how = isWrite ? 'by way of the leader' : `level ${level}`
  const byColumn = columns.map((name, at): Column<readonly WireValue[]> => {
    return {
      // Two columns may have one name.
      title: columns.indexOf(name) === at ? name : `${name} (${at + 1})`,
      isNumber: rows.every((row) => /integer|float|null/.test(row[at]?.type ?? '')),
      value: (row) => toCell(row[at]),
      show: (row) => showValue(row[at]),
    }
  })
  return (
    <>
      <p class="figures" data-answer>
        {count} in {formatMs(durationMs)}, {how}, answered by {node ?? nodeId}.
      </p>
      {!isWrite && <Table label="Result" rows={rows} columns={byColumn} empty="No rows." />}
    </>
  )
}

function countRows(count: number): string {
  return `${formatCount(count)} ${count === 1 ? 'row' : 'rows'}`
}

function toCell(value: WireValue | undefined): string | number | null {
  if (value === undefined || value.type === 'null') return null
  if (value.type === 'blob') return `x'${value.base64}'`
  return value.value
}

function showValue(value: WireValue | undefined): JSX.Element | string {
  if (value === undefined || value.type === 'null') return <span class="soft">NULL</span>
  if (value.type !== 'blob') return `${value.value}`
  return <span class="soft">blob, {Math.floor((value.base64.length * 3) / 4)} bytes</span>
}
