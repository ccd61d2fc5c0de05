/** docs/testing-your-app.md has every call and option of `colmena/testing`, and no other. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { OPTION_DEFAULTS } from '../../src/node/options.ts'
import { CLUSTER_DEFAULTS, DECIDED, NODE_DEFAULTS } from '../../src/testing/options.ts'
import { isNode, nameOf, parseSource, walk } from '../tidy/source.ts'
import { readCodeSpans, readPage, readTables, root } from './pages.ts'

const page = readPage('docs/testing-your-app.md')
const [calls = [], own = [], defaults = []] = readTables(page)

/** What a handle offers, as far as it is no one's own business. */
function listCalls(): string[] {
  const path = 'src/testing/cluster.ts'
  const names: string[] = []
  walk(parseSource({ path, text: readFileSync(root + path, 'utf8') }), (node) => {
    const isOffer = node.type === 'ClassMethod' || node.type === 'MethodDefinition'
    if (!isOffer || node['computed'] === true || node['static'] === true) return
    const name = isNode(node['key']) ? nameOf(node['key']) : undefined
    if (name !== undefined && name !== 'constructor') names.push(name)
  })
  return names
}

describe('docs/testing-your-app.md', () => {
  it('has every call of a cluster, and no other', () => {
    const named = calls.flatMap(([cell = '']) => readCodeSpans(cell))
    const names = named.map((span) => span.replace(/\(.*/, ''))
    assert.ok(names.length >= 10)
    assert.deepEqual(names.sort(), listCalls().sort())
  })

  it('has the options that are not those of open', () => {
    const names = own.flatMap(([cell = '']) => readCodeSpans(cell))
    assert.deepEqual(names, ['migrations', 'nodes', 'timeoutMs', 'signal'])
  })

  it('has every option that is decided, in the order of the sources', () => {
    const [, list = ''] = /some are decided: (.*?) are refused/s.exec(page) ?? []
    assert.deepEqual(readCodeSpans(list), Object.keys(DECIDED))
  })

  it('has the defaults that are others, with their values', () => {
    const shown = (value: unknown): string => JSON.stringify(value).replaceAll('"', "'")
    const keys = Object.keys({ ...NODE_DEFAULTS, ...CLUSTER_DEFAULTS, durability: '' })
    assert.deepEqual(defaults.map(([cell = '']) => readCodeSpans(cell)[0]).sort(), keys.sort())
    for (const [cell = '', one = '', several = ''] of defaults) {
      const key = readCodeSpans(cell)[0] as keyof typeof OPTION_DEFAULTS
      const said = [one, several].map((text) => readCodeSpans(text)[0])
      const really = [NODE_DEFAULTS, CLUSTER_DEFAULTS].map((changed) =>
        shown({ ...OPTION_DEFAULTS, ...changed }[key]),
      )
      assert.deepEqual(said, really, key)
    }
  })
})
