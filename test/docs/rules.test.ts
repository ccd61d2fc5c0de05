/** The pages name the test of each rule and bug: none may be gone, or called otherwise. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { readCodeSpans, readPage, readTables, root } from './pages.ts'

interface NamedTest {
  readonly file: string
  readonly name: string
}

function readRules(page: string): string[][] {
  const [, section = ''] = page.split('\n## Rules and their tests\n')
  return readTables(section)[0] ?? []
}

/** A cell names a file, then the tests in it, then perhaps another file and its tests. */
function readNamedTests(cell: string): NamedTest[] {
  const tests: NamedTest[] = []
  let file = ''
  for (const span of readCodeSpans(cell)) {
    if (/^test\/.*\.test\.ts$/.test(span)) file = span
    else tests.push({ file, name: span })
  }
  return tests
}

/** Whether a test has that title there; the rules of the house are titled by a table's keys. */
function hasTest(text: string, name: string): boolean {
  const escaped = name.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  const title = new RegExp(`(?:\\b(?:test|it)\\(\\s*|^ {2})(['"\`])${escaped}\\1[,:]`, 'm')
  return title.test(text)
}

/** In a cell that names files and tests; of a file without a test of it, whether it is there. */
function findGone(cell: string): string[] {
  const files = readCodeSpans(cell).filter((span) => span.startsWith('test/'))
  const named = readNamedTests(cell).filter(({ file, name }) => !isThere(file, name))
  return [
    ...files.filter((file) => !existsSync(root + file)),
    ...named.map(({ file, name }) => `${file}: ${name}`),
  ]
}

function isThere(file: string, name: string): boolean {
  return file !== '' && existsSync(root + file) && hasTest(readFileSync(root + file, 'utf8'), name)
}

function findMissing(rows: readonly string[][]): string[] {
  const missing: string[] = []
  for (const [rule = '', where = '', cell = ''] of rows) {
    const sources = readCodeSpans(where)
    const tests = readNamedTests(cell)
    if (rule === '' || sources.length === 0 || tests.length === 0) missing.push(`in: ${rule}`)
    for (const source of sources) if (!existsSync(root + source)) missing.push(source)
    for (const { file, name } of tests) {
      if (!isThere(file, name)) missing.push(`${file}: ${name}`)
    }
  }
  return missing
}

describe("the rules' tests in docs/testing.md", () => {
  const rows = readRules(readPage('docs/testing.md'))

  it('are found', () => {
    assert.ok(rows.length >= 40, `${rows.length} rules`)
  })

  it('are all there, by file and name', () => {
    assert.deepEqual(findMissing(rows), [])
  })

  it('are missed when a name or a file is wrong', () => {
    const right = '`test/tidy.test.ts` `every test runs`; `test/tidy.test.ts` `sees the project`'
    assert.deepEqual(findMissing([['a', '`src/index.ts`', right]]), [])
    const wrong = '`test/tidy.test.ts` `every test`; `test/gone.test.ts` `sees the project`'
    assert.deepEqual(findMissing([['a', '`src/gone.ts`', wrong]]), [
      'src/gone.ts',
      'test/tidy.test.ts: every test',
      'test/gone.test.ts: sees the project',
    ])
    assert.deepEqual(findMissing([['b', '`src/index.ts`', '`test/tidy.test.ts`']]), ['in: b'])
  })
})

describe("the bugs' tests in docs/bugs.md", () => {
  const rows = readTables(readPage('docs/bugs.md')).flat()
  const tests = rows.flatMap(([, , cell]) => (cell === undefined ? [] : [cell]))

  it('are all there, by file and, where one is named, by name', () => {
    assert.ok(tests.length >= 20, `${tests.length} tests`)
    assert.deepEqual(tests.flatMap(findGone), [])
    assert.deepEqual(
      tests.filter((cell) => !cell.startsWith('`test/')),
      [],
    )
  })

  it('are missed when a file or a name is wrong', () => {
    assert.deepEqual(findGone('`test/gone.test.ts`'), ['test/gone.test.ts'])
    assert.deepEqual(findGone('`test/tidy.test.ts` `no such`'), ['test/tidy.test.ts: no such'])
  })
})
