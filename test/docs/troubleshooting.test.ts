/** docs/troubleshooting.md names only what there is to look at. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { open } from '../../src/index.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import { readCodeSpans, readPage, readTables, root } from './pages.ts'

const page = readPage('docs/troubleshooting.md')
const spans = new Set(readCodeSpans(page.replaceAll(/```.*?```/gs, '')))

/** What the engine calls its decisions, its own and those of the core. */
function decisionNames(): Set<string> {
  const names = new Set<string>()
  const collect = (path: string, pattern: RegExp): void => {
    const text = readFileSync(root + path, 'utf8')
    for (const [, name = ''] of text.matchAll(pattern)) names.add(name)
  }
  collect('src/engine/decisions.ts', /^ {2}(\w+): (?:\[|VOTE|RESTORE)/gm)
  for (const name of readdirSync(`${root}src/engine`)) {
    collect(`src/engine/${name}`, /(?:say|decided)\(\s*'(\w+)'/g)
  }
  return names
}

describe('docs/troubleshooting.md', () => {
  it('names fields that status() and metrics() have', async (t) => {
    const node = await open({ dataDir: temporaryDirectory(t) })
    t.after(() => node.close())
    const answers = { status: await node.status(), metrics: await node.metrics() }
    const paths = [...spans].filter((span) => /^(status|metrics)\(\)\./.test(span))
    assert.ok(paths.length > 10)
    for (const path of paths) {
      let value: unknown = answers
      for (const name of path.replace('()', '').split('.')) {
        assert.ok(Object.hasOwn(value as object, name), `there is no ${path}`)
        value = (value as Record<string, unknown>)[name]
      }
    }
  })

  it('names decisions that NODE_DEBUG prints', () => {
    const names = decisionNames()
    const printed = [...page.matchAll(/^COLMENA \d+: \w+: (\w+)/gm)].map(([, name = '']) => name)
    const seen = readTables(page).flatMap((rows) => rows.map(([first = '']) => first))
    // What is seen is a decision where it is in camel case and no field of an answer.
    const told = seen.flatMap(readCodeSpans).filter((span) => /^[a-z]+[A-Z]\w*$/.test(span))
    assert.ok(printed.length > 0 && told.length > 5)
    for (const name of [...printed, ...told]) {
      assert.ok(names.has(name), `the engine decides nothing that is called ${name}`)
    }
  })

  it('is where the first page leads', () => {
    assert.match(readPage('README.md'), /\]\(docs\/troubleshooting\.md\)/)
  })
})
