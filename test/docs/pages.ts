/** Reading the project's Markdown pages: tables, links, headings and code blocks. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root: string = fileURLToPath(new URL('../../', import.meta.url))

/** README.md, ARCHITECTURE.md, CHANGELOG.md and every page in docs/, examples/ and below that. */
export function listPages(): string[] {
  const names = (folder: string): string[] =>
    readdirSync(root + folder)
      .filter((name) => name.endsWith('.md'))
      .map((name) => folder + name)
  const below = readdirSync(`${root}examples`, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => names(`examples/${name}/`))
  return [...names(''), ...names('docs/'), ...names('examples/'), ...below].sort()
}

export function readPage(path: string): string {
  return readFileSync(root + path, 'utf8')
}

/** The rows of every table in the text, without the head, as trimmed cells. */
export function readTables(text: string): string[][][] {
  const tables: string[][][] = []
  let rows: string[][] = []
  for (const line of [...text.split('\n'), '']) {
    if (line.startsWith('|')) {
      // A bar inside a cell is written \| there.
      const cells = line.split(/(?<!\\)\|/).slice(1, -1)
      rows.push(cells.map((cell) => cell.replaceAll('\\|', '|').trim()))
    } else if (rows.length > 0) {
      tables.push(rows.slice(2))
      rows = []
    }
  }
  return tables
}

/** The contents of all `code spans` in a piece of text. */
export function readCodeSpans(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
}

/** One fenced block; `line` is that of its opening fence. */
export interface CodeBlock {
  readonly info: string
  readonly code: string
  readonly line: number
}

export function readCodeBlocks(text: string): CodeBlock[] {
  const blocks: CodeBlock[] = []
  const lines = text.split('\n')
  for (let at = 0; at < lines.length; at += 1) {
    const fence = /^( *)(```+)(.*)$/.exec(lines[at] ?? '')
    if (fence === null) continue
    const [, indent = '', marks = '', info = ''] = fence
    const code: string[] = []
    const line = at + 1
    for (at += 1; at < lines.length && lines[at]?.trim() !== marks; at += 1) {
      code.push((lines[at] ?? '').slice(indent.length))
    }
    blocks.push({ info: info.trim(), code: `${code.join('\n')}\n`, line })
  }
  return blocks
}

/** The text with its fenced blocks emptied, so that what is in them is not read as Markdown. */
export function withoutCodeBlocks(text: string): string {
  let inside = false
  const lines = text.split('\n').map((line) => {
    const isFence = /^ *```/.test(line)
    if (isFence) inside = !inside
    return isFence || inside ? '' : line
  })
  return lines.join('\n')
}
