/** docs/results.md, made of the record. */
import { type Finding, KINDS, type Kind, type Result } from './result.ts'

/** What runs of one kind count, over all of them. */
const SUMS: Readonly<Record<Kind, readonly string[]>> = {
  simulate: ['lives', 'events', 'failed'],
  chaos: ['operations', 'lost', 'duplicated', 'stale'],
  mutations: ['mistakes', 'caught'],
  soak: [],
  conformance: ['files', 'failed'],
}

/** By which a page of ours is known. */
export const PAGE_TITLE = '# Results\n'

const HEAD = `${PAGE_TITLE}
The long runs that were made of this project, by \`npm run results\` from what \`--record\` wrote
down as each ended: well, badly, or broken off. One that was killed with -9 left no word.
[Testing](testing.md) says what each of them does, [bugs](bugs.md) what was found.
`

export function renderPage(results: readonly Result[]): string {
  const newest = [...results].sort((a, b) => (a.at < b.at ? 1 : -1))
  const gate = newest.find(({ found }) => found !== undefined)
  const parts = [HEAD, renderSums(results), renderRuns(newest)]
  if (gate !== undefined) parts.push(renderGate(gate))
  return parts.join('\n')
}

function renderSums(results: readonly Result[]): string {
  const rows = KINDS.flatMap((kind) => {
    const runs = results.filter((result) => result.kind === kind)
    if (runs.length === 0) return []
    const hours = runs.reduce((sum, { seconds }) => sum + seconds, 0) / 3_600
    const failed = runs.filter(({ isGood }) => !isGood).length
    const sums = SUMS[kind].map((name) => {
      const sum = runs.reduce((total, { figures }) => total + Number(figures[name] ?? 0), 0)
      return `${name} ${formatNumber(sum)}`
    })
    return [[`\`npm run ${kind}\``, `${runs.length}`, `${failed}`, hours.toFixed(1), list(sums)]]
  })
  return `## In all\n\n${table(['run', 'runs', 'failed', 'hours', 'sums'], rows)}`
}

function renderRuns(results: readonly Result[]): string {
  const rows = results.map((result) => {
    const { command, at, commit, isClean, node, machine, seconds } = result
    const figures = Object.entries(result.figures).map(([name, value]) => {
      // A seed is a name, not an amount.
      const isAmount = typeof value === 'number' && name !== 'seed'
      return `${name} ${isAmount ? formatNumber(value) : value}`
    })
    const tree = isClean ? '' : ' and changes'
    const where = `${commit}${tree}, Node.js ${node}, ${machine}`
    const took = formatSeconds(seconds)
    return [at, `\`${command}\``, took, describeVerdict(result), list(figures), where]
  })
  const head = ['began, UTC', 'command', 'took', 'verdict', 'figures', 'commit and machine']
  return `## Runs\n\nThe newest first.\n\n${table(head, rows)}`
}

function describeVerdict({ isGood, brokenOff }: Result): string {
  if (brokenOff !== undefined) return `**broken off**: ${brokenOff}`
  return isGood ? 'good' : '**failed**'
}

function renderGate({ found = [], commit, at }: Result): string {
  const rows = found.map(({ id, breaks, by, seed, isCaught }: Finding) => {
    return [`\`${id}\``, breaks, isCaught ? by : `**not found**: ${by}`, `${seed ?? '–'}`]
  })
  const caught = found.filter(({ isCaught }) => isCaught).length
  const byLives = found.filter(({ isCaught, seed }) => isCaught && seed !== null).length
  return (
    `## Mutations\n\nThose of ${at}, commit ${commit}: ${caught} of ${found.length} were caught, ` +
    `${byLives} by simulated lives.\n\n` +
    table(['mutation', 'stands for', 'found by', 'seed'], rows)
  )
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => {
    const plain = cells.map((cell) => cell.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|'))
    return `| ${plain.join(' | ')} |\n`
  })
  return lines.join('')
}

function list(parts: readonly string[]): string {
  return parts.join(', ') || '–'
}

function formatNumber(value: number): string {
  return value.toLocaleString('en-US')
}

function formatSeconds(seconds: number): string {
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`
}
