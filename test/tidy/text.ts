/** How long files, lines and functions may be, and words that belong to no file. */
import {
  isNode,
  lineOf,
  memberOf,
  nameOf,
  type ProjectFile,
  parseSource,
  type SyntaxNode,
  type Violation,
  walk,
} from './source.ts'

const fileLinesMax = 400
const testFileLinesMax = 600
const functionLinesMax = 70
const lineColumnsMax = 100
const sleepMsMax = 100

/** Pages that are read whole, and how long they may get. */
const pageLinesMax: ReadonlyMap<string, number> = new Map([
  ['README.md', 149],
  ['ARCHITECTURE.md', 130],
])

export function checkFileLengths(files: readonly ProjectFile[]): Violation[] {
  return files.flatMap((file) => {
    const linesMax = pageLinesMax.get(file.path) ?? codeLinesMax(file)
    const lines = file.text.split('\n').length - 1
    if (linesMax === undefined || lines <= linesMax) return []
    return [{ path: file.path, line: linesMax + 1, message: `${lines} lines, at most ${linesMax}` }]
  })
}

function codeLinesMax(file: ProjectFile): number | undefined {
  if (!isCode(file)) return undefined
  return file.path.startsWith('test/') ? testFileLinesMax : fileLinesMax
}

export function checkColumns(files: readonly ProjectFile[]): Violation[] {
  return files.filter(isCode).flatMap(({ path, text }) => {
    const wide = text.split('\n').map((line, at) => ({ line: at + 1, columns: [...line].length }))
    return wide
      .filter(({ columns }) => columns > lineColumnsMax)
      .map(({ line, columns }) => {
        return { path, line, message: `${columns} columns, at most ${lineColumnsMax}` }
      })
  })
}

/** Functions of the product and its scripts; a test's `describe` may be as long as its file. */
export function checkFunctionLengths(files: readonly ProjectFile[]): Violation[] {
  return files
    .filter((file) => isScript(file) && !file.path.startsWith('test/'))
    .flatMap((file) => {
      const violations: Violation[] = []
      walk(parseSource(file), (node) => {
        if (!/Function|Method/.test(node.type) || !isNode(node['body'])) return
        const lines = (node.loc?.end.line ?? 0) - lineOf(node) + 1
        if (lines <= functionLinesMax) return
        const message = `a function of ${lines} lines, at most ${functionLinesMax}`
        violations.push({ path: file.path, line: lineOf(node), message })
      })
      return violations
    })
}

export function checkDefaultExports(files: readonly ProjectFile[]): Violation[] {
  return files
    .filter((file) => isScript(file) && /^(src|web)\//.test(file.path))
    .flatMap((file) => {
      const violations: Violation[] = []
      walk(parseSource(file), (node) => {
        if (node.type !== 'ExportDefaultDeclaration') return
        violations.push({ path: file.path, line: lineOf(node), message: 'export it by name' })
      })
      return violations
    })
}

/** Patterns are put together from parts, so that this file does not hold what it looks for. */
const foreignWords: readonly (readonly [RegExp, string])[] = [
  [
    new RegExp(`(^|[\\s"'\`(=:])/(${['work', 'root', 'home'].join('|')})(/|\\b)`),
    "a machine's path",
  ],
  [new RegExp(['registry', '(npmjs|yarnpkg|\\w+)', '\\w+'].join('\\.')), "a registry's address"],
  // A package of this repository, which npm links, is no secret.
  [
    new RegExp(['"resolved"', '\\s*', ':', '\\s*"', '(?!test/)'].join('')),
    'where a package was fetched from',
  ],
  [new RegExp(['hazard', 's?(\\.md| \\d)'].join(''), 'i'), 'a note outside the project'],
  [new RegExp(['shared', 'design'].join('/')), 'a note outside the project'],
]

export function checkForeignWords(files: readonly ProjectFile[]): Violation[] {
  const violations: Violation[] = []
  for (const { path, text } of files) {
    for (const [at, line] of text.split('\n').entries()) {
      for (const [pattern, what] of foreignWords) {
        if (!pattern.test(line)) continue
        violations.push({ path, line: at + 1, message: `${what}: say it without` })
      }
    }
  }
  return violations
}

const testNames: ReadonlySet<string> = new Set(['test', 'it', 'describe', 'suite', 't', 'context'])
const markNames: ReadonlySet<string> = new Set(['only', 'skip', 'todo'])

/** `test.skip(…)`, `t.todo()` and `test('…', { only: true }, …)`. */
export function checkTestMarks(files: readonly ProjectFile[]): Violation[] {
  return files.filter(isTest).flatMap((file) => {
    const violations: Violation[] = []
    walk(parseSource(file), (node) => {
      const mark = node.type === 'CallExpression' ? findMark(node) : undefined
      if (mark === undefined) return
      const message = `a test marked "${mark}": every test runs, always`
      violations.push({ path: file.path, line: lineOf(node), message })
    })
    return violations
  })
}

function findMark(call: SyntaxNode): string | undefined {
  const callee = call['callee'] as SyntaxNode
  const member = memberOf(callee)
  const called = nameOf(callee) ?? nameOf(callee['object'])
  if (called === undefined || !testNames.has(called)) return undefined
  if (member !== undefined && markNames.has(member)) return member
  for (const argument of call['arguments'] as SyntaxNode[]) {
    if (argument.type !== 'ObjectExpression') continue
    for (const property of argument['properties'] as SyntaxNode[]) {
      const key = nameOf(property['key'])
      if (key !== undefined && markNames.has(key)) return key
    }
  }
  return undefined
}

const sleepNames: ReadonlySet<string> = new Set(['setTimeout', 'sleep', 'delay', 'wait', 'pause'])

/** Waiting for a time instead of a condition: `await sleep(500)` and its long form. */
export function checkSleeps(files: readonly ProjectFile[]): Violation[] {
  return files.filter(isTest).flatMap((file) => {
    const violations: Violation[] = []
    walk(parseSource(file), (node) => {
      if (node.type !== 'AwaitExpression') return
      const sleepMs = readSleep(node['argument'] as SyntaxNode)
      if (sleepMs === undefined || sleepMs < sleepMsMax) return
      const message = `a sleep of ${sleepMs} ms: wait for the condition, with a deadline`
      violations.push({ path: file.path, line: lineOf(node), message })
    })
    return violations
  })
}

/**
 * A byte that is taken for the opposite where it is not the one value asked for: whatever another
 * node sends there passes.
 */
export function checkFlags(files: readonly ProjectFile[]): Violation[] {
  return files.filter(isScript).flatMap((file) => {
    const violations: Violation[] = []
    walk(parseSource(file), (node) => {
      const read = node['left']
      if (node.type !== 'BinaryExpression' || node['operator'] !== '===' || !isNode(read)) return
      if (read.type !== 'CallExpression' || memberOf(read['callee']) !== 'u8') return
      const message = 'a byte taken for a flag: read it with flag(), or refuse what is unknown'
      violations.push({ path: file.path, line: lineOf(node), message })
    })
    return violations
  })
}

function readSleep(awaited: SyntaxNode): number | undefined {
  if (awaited.type === 'CallExpression') {
    const name = nameOf(awaited['callee']) ?? memberOf(awaited['callee'])
    if (name === undefined || !sleepNames.has(name)) return undefined
    return readNumber((awaited['arguments'] as unknown[])[0])
  }
  if (awaited.type !== 'NewExpression' || nameOf(awaited['callee']) !== 'Promise') return undefined
  const executor = (awaited['arguments'] as SyntaxNode[])[0]
  const resolve = nameOf((executor?.['params'] as unknown[] | undefined)?.[0])
  let sleepMs: number | undefined
  walk(awaited, (node) => {
    if (node.type !== 'CallExpression' || nameOf(node['callee']) !== 'setTimeout') return
    const [done, delay] = node['arguments'] as unknown[]
    if (resolve !== undefined && nameOf(done) === resolve) sleepMs = readNumber(delay)
  })
  return sleepMs
}

function readNumber(node: unknown): number | undefined {
  return isNode(node) && node.type === 'NumericLiteral' ? (node['value'] as number) : undefined
}

function isCode({ path }: ProjectFile): boolean {
  return isScript({ path }) || /\.(css|html)$/.test(path)
}

function isScript({ path }: Pick<ProjectFile, 'path'>): boolean {
  return /\.(tsx?|mts|mjs|js)$/.test(path)
}

function isTest(file: ProjectFile): boolean {
  return file.path.startsWith('test/') && isScript(file)
}
