/** The pages name the test of each rule and bug: none may be gone, or called otherwise. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { targets } from '../fuzz/targets.ts'
import { soaks } from '../processes/soaks.ts'
import { readCodeSpans, readPage, readTables, root } from './pages.ts'

interface NamedTest {
  readonly file: string
  readonly name: string
}

/** What a page has under a heading of the second level. */
function readSection(page: string, title: string): string {
  const [, section = ''] = page.split(`\n## ${title}\n`)
  return section.split('\n## ')[0] ?? ''
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

/**
 * Whether a test has that title there; the rules of the house are titled by a table's keys, what
 * decoders refuse by a decoder's name and a row's.
 */
function hasTest(text: string, name: string): boolean {
  const [decoder, row] = name.split(' refuses ')
  if (row !== undefined && text.includes('testRefusals(')) {
    // A row of this decoder, up to where the next one begins, or of a list that it names.
    const own = text.split(`name: '${decoder}',`)[1]?.split('\n    name: ')[0] ?? ''
    const lists = [...own.matchAll(/\.\.\.([A-Z_]+)/g)].map(([, list]) => {
      return text.split(new RegExp(`\\nconst ${list}[ :]`))[1]?.split(/\n\S/)[0] ?? ''
    })
    return [own, ...lists].some((rows) => rows.includes(`'${row}',`))
  }
  const escaped = name.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  const title = new RegExp(`(?:\\b(?:test|it)\\(\\s*|^ {2})(['"\`])${escaped}\\1[,:]`, 'm')
  return title.test(text)
}

/** What a cell names, and is not there. */
function findGone(cell: string): string[] {
  const files = readCodeSpans(cell).filter((span) => span.startsWith('test/'))
  const named = readNamedTests(cell).filter(({ file, name }) => !isThere(file, name))
  return [
    ...files.filter((file) => !existsSync(root + file)),
    ...named.map(({ file, name }) => `${file}: ${name}`),
  ]
}

function isThere(file: string, name: string): boolean {
  if (file === 'test/fuzz/fuzz.test.ts') return targets.some((target) => target.name === name)
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

describe("the rules' tests in docs/rules.md", () => {
  const rows = readTables(readPage('docs/rules.md'))[0] ?? []

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
    const ofAnother =
      '`test/transport/refusals.test.ts` `a hello refuses a status that there is not`'
    assert.equal(findMissing([['c', '`src/index.ts`', ofAnother]]).length, 1)
  })
})

/** A type that is a list of names, as its source has it. */
function readNames(file: string, type: string): string[] {
  const [, text = ''] = readFileSync(root + file, 'utf8').split(`export type ${type} =\n`)
  const [union = ''] = text.split('\n\n')
  return [...union.matchAll(/\| '([^']+)'/g)].map(([, name = '']) => name)
}

describe('docs/testing.md', () => {
  const page = readPage('docs/testing.md')

  it('has every test of real processes, and every long form', () => {
    const section = readSection(page, 'Real processes')
    const named = new Set(readCodeSpans(section))
    const files = readdirSync(`${root}test/processes`).filter((name) => name.endsWith('.test.ts'))
    const tests = files.map((name) => name.slice(0, -'.test.ts'.length))
    assert.ok(tests.length >= 25, `${tests.length} tests`)
    const names = [...tests, ...Object.keys(soaks)]
    assert.deepEqual(
      names.filter((name) => !named.has(name)),
      [],
    )
  })

  it('has every rule that lives are judged by, and no other', () => {
    const rules = [
      ...readNames('test/simulated/consensus.ts', 'Rule'),
      ...readNames('test/simulated/invariants.ts', 'AnyRule'),
    ]
    assert.ok(rules.length >= 25, `${rules.length} rules`)
    const tables = readTables(readSection(page, 'Simulated lives'))
    const named = tables[1]?.flatMap(([names = '']) => names.split(', ')) ?? []
    assert.deepEqual(named.sort(), rules.sort())
  })
})

describe("the bugs' tests in docs/bugs.md", () => {
  const rows = readTables(readPage('docs/bugs.md')).flat()
  const tests = rows.flatMap(([, , cell]) => (cell === undefined ? [] : [cell]))

  it('are all there, by file and name', () => {
    assert.ok(tests.length >= 20, `${tests.length} tests`)
    assert.deepEqual(tests.flatMap(findGone), [])
    assert.deepEqual(
      tests.filter((cell) => readNamedTests(cell).length === 0),
      [],
    )
  })

  it('are missed when a file or a name is wrong', () => {
    assert.deepEqual(findGone('`test/gone.test.ts`'), ['test/gone.test.ts'])
    assert.deepEqual(findGone('`test/tidy.test.ts` `no such`'), ['test/tidy.test.ts: no such'])
    const row = '`test/command/refusals.test.ts` `a result refuses all`'
    assert.deepEqual(findGone(row), ['test/command/refusals.test.ts: a result refuses all'])
    const target = '`test/fuzz/fuzz.test.ts` `node.none`'
    assert.deepEqual(findGone(target), ['test/fuzz/fuzz.test.ts: node.none'])
  })
})
