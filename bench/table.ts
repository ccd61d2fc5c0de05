/** The table as it is printed while it fills, and as a page shows it. */
import { execFileSync } from 'node:child_process'
import { availableParallelism, cpus, loadavg, platform, totalmem } from 'node:os'
import { describeTarget, formatFigure, meetsTarget, ROWS, type Row, type Values } from './rows.ts'

/** What whoever reads the figures must know of them. */
export interface Run {
  readonly machine: string
  readonly date: string
  readonly commit: string
}

export function describeRun(): Run {
  const [cpu] = cpus()
  const gib = Math.round(totalmem() / 2 ** 30)
  const cores = `${availableParallelism()} x ${cpu?.model.trim() ?? 'unknown'}`
  return {
    machine: `Node.js ${process.versions.node}, ${platform()}, ${cores}, ${gib} GiB`,
    date: new Date().toISOString().slice(0, 10),
    commit: describeCommit(),
  }
}

export function formatRun({ machine, date, commit }: Run): string {
  return `Commit ${commit}, ${date}, ${machine}`
}

/** As the demo's page reads it. */
export function formatJson(run: Run, values: Values): string {
  return `${JSON.stringify({ ...run, figures: Object.fromEntries(values) }, null, 2)}\n`
}

/** Of the last minute, five and fifteen. */
export function formatLoad(): string {
  return loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')
}

export function formatHead(): string {
  return formatCells(['row', 'figure', 'target', 'to raw', 'what'])
}

export function formatRow(row: Row, value: number, values: Values): string {
  return formatCells(cellsOf(row, value, values))
}

/** A row of a peer that cannot be measured here. */
export function formatAbsent(row: Row, why: string): string {
  return formatCells([row.id, why, '', '', row.title])
}

/** The rows that were measured, as Markdown. */
export function formatPage(values: Values): string {
  const lines = ['| row | figure | target | to raw | what |', '|---|---|---|---|---|']
  for (const row of ROWS) {
    const value = values.get(row.id)
    if (value === undefined) continue
    const [id, ...others] = cellsOf(row, value, values)
    lines.push(`| \`${id}\` | ${others.map((cell) => cell.trim()).join(' | ')} |`)
  }
  return `${lines.join('\n')}\n`
}

type Cells = readonly [id: string, figure: string, target: string, ratio: string, title: string]

function cellsOf(row: Row, value: number, values: Values): Cells {
  const target = describeTarget(row, values) ?? '(unknown)'
  const mark = meetsTarget(row, value, values) ? '' : ' MISSED'
  const raw = row.raw === undefined ? undefined : values.get(row.raw)
  const ratio = raw === undefined ? '' : `x ${formatFigure(value / raw)}`
  return [row.id, `${formatFigure(value)} ${row.unit}`, target + mark, ratio, row.title]
}

function formatCells([id, figure, target, ratio, title]: Cells): string {
  const left = `${id.padEnd(38)} ${figure.padStart(13)}`
  return `${left}  ${target.padEnd(18)} ${ratio.padEnd(8)} ${title}`.trimEnd()
}

function describeCommit(): string {
  const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8' }).trim()
  try {
    const changed = git('status', '--porcelain', '--', 'src') === '' ? '' : ' and changes to src/'
    return git('rev-parse', '--short', 'HEAD') + changed
  } catch {
    return 'unknown'
  }
}
