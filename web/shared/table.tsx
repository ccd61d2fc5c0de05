/** A table that sorts, filters once it is worth it, and comes in pages. */
import type { ComponentChildren, JSX } from 'preact'
import { useState } from 'preact/hooks'
import { formatCount } from './format.ts'

export type Cell = string | number | null

export interface Column<Row> {
  readonly title: string
  readonly isNumber?: boolean
  /** What it is sorted and searched by. */
  value(row: Row): Cell
  /** What is shown instead of the value. */
  show?(row: Row): ComponentChildren
}

interface TableProps<Row> {
  readonly label: string
  readonly rows: readonly Row[]
  readonly columns: readonly Column<Row>[]
  /** Said where there are no rows. */
  readonly empty: string
  /** On a phone each row is a card of its own, and nothing scrolls. */
  readonly stacks?: boolean
  /** What a row is known by, so that a question asked in it stays with it. */
  id?(row: Row): string
}

const pageRows = 25
const filterFromRows = 6

export function Table<Row>(props: TableProps<Row>): JSX.Element {
  const { label, rows, columns, empty, stacks = false, id } = props
  const [order, sort] = useState<{ at: number; isDown: boolean } | null>(null)
  const [words, filter] = useState('')
  const [wantedPage, turn] = useState(0)
  if (rows.length === 0) return <p class="empty">{empty}</p>
  const found = rows.filter((row) => matches(row, columns, words))
  const by = order === null ? undefined : columns[order.at]
  if (by !== undefined) {
    const sign = order?.isDown ? -1 : 1
    found.sort((a, b) => sign * compare(by.value(a), by.value(b)))
  }
  const pages = Math.max(1, Math.ceil(found.length / pageRows))
  const page = Math.min(wantedPage, pages - 1)
  const resort = (at: number): void =>
    sort({ at, isDown: order?.at === at ? !order.isDown : false })
  return (
    <div class="table">
      {rows.length >= filterFromRows && (
        <input
          type="search"
          aria-label={`Filter ${label}`}
          placeholder="Filter"
          value={words}
          onInput={({ currentTarget }) => filter(currentTarget.value)}
        />
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by keyboard. */}
      <section class="table-box" tabIndex={0} aria-label={`${label}, table`}>
        <table class={stacks ? 'stacks' : ''}>
          <thead>
            <tr>
              {columns.map((column, at) => (
                <HeadCell
                  key={column.title}
                  column={column}
                  order={order?.at === at ? (order.isDown ? 'descending' : 'ascending') : 'none'}
                  sort={() => resort(at)}
                />
              ))}
            </tr>
          </thead>
          <tbody>
            {found.slice(page * pageRows, (page + 1) * pageRows).map((row, at) => (
              <tr key={id?.(row) ?? at}>
                {columns.map((column) => (
                  <td
                    key={column.title}
                    class={column.isNumber ? 'number' : ''}
                    data-title={column.title}
                  >
                    {column.show?.(row) ?? column.value(row)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {found.length === 0 && <p class="soft">Nothing matches “{words}”.</p>}
      {pages > 1 && <Pager page={page} pages={pages} count={found.length} turn={turn} />}
    </div>
  )
}

interface HeadCellProps<Row> {
  readonly column: Column<Row>
  readonly order: 'ascending' | 'descending' | 'none'
  sort(): void
}

function HeadCell<Row>({ column, order, sort }: HeadCellProps<Row>): JSX.Element {
  const sign = { ascending: ' ▲', descending: ' ▼', none: '' }[order]
  return (
    <th scope="col" aria-sort={order} class={column.isNumber ? 'number' : ''}>
      <button type="button" class="quiet" onClick={sort}>
        {column.title}
        <span class="sort-sign" aria-hidden="true">
          {sign}
        </span>
      </button>
    </th>
  )
}

interface PagerProps {
  readonly page: number
  readonly pages: number
  readonly count: number
  turn(page: number): void
}

function Pager({ page, pages, count, turn }: PagerProps): JSX.Element {
  return (
    <div class="pager figures">
      <button type="button" disabled={page === 0} onClick={() => turn(page - 1)}>
        Before
      </button>
      <span>
        Page {page + 1} of {pages}, {formatCount(count)} rows
      </span>
      <button type="button" disabled={page === pages - 1} onClick={() => turn(page + 1)}>
        Next
      </button>
    </div>
  )
}

function matches<Row>(row: Row, columns: readonly Column<Row>[], words: string): boolean {
  const wanted = words.trim().toLowerCase()
  if (wanted === '') return true
  return columns.some((column) => `${column.value(row) ?? ''}`.toLowerCase().includes(wanted))
}

/** Numbers by size, words by alphabet, nothing first. */
function compare(a: Cell, b: Cell): number {
  if (a === null || b === null) return Number(a !== null) - Number(b !== null)
  if (typeof a === 'number' && typeof b === 'number') return a - b
  return `${a}`.localeCompare(`${b}`, 'en', { numeric: true })
}
