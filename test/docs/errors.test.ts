/** docs/errors.md and the code name the same errors, both ways. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { readCodeSpans, readPage, readTables, root } from './pages.ts'

const page = readPage('docs/errors.md')
const [codes = [], warnings = []] = readTables(page)

/** Codes of Node.js that our sources look for. */
const foreignCodes: ReadonlySet<string> = new Set([
  'ERR_FS_EISDIR',
  'ERR_INVALID_STATE',
  'ERR_SQLITE_ERROR',
  'ERR_SSL',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_TLS_HANDSHAKE_TIMEOUT',
])

function codesOf(rows: readonly string[][]): string[] {
  return rows.flatMap(([first = '']) => readCodeSpans(first))
}

function unionCodes(): string[] {
  const source = readFileSync(`${root}src/base/errors.ts`, 'utf8')
  const union = /export type ErrorCode =([^;]*?)\n\n/.exec(source)?.[1] ?? ''
  return [...union.matchAll(/'(ERR_[A-Z_]+)'/g)].map(([, code = '']) => code)
}

/** The text of each `new ColmenaError(…)`, to its closing parenthesis. */
function errorCalls(): string[] {
  const calls: string[] = []
  for (const name of readdirSync(`${root}src`, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue
    const text = readFileSync(`${root}src/${name}`, 'utf8')
    for (const { index } of text.matchAll(/new ColmenaError\(/g)) {
      let end = text.indexOf('(', index) + 1
      for (let depth = 1; depth > 0; end += 1) {
        if (text[end] === '(') depth += 1
        else if (text[end] === ')') depth -= 1
      }
      calls.push(text.slice(index, end))
    }
  }
  return calls
}

describe('docs/errors.md', () => {
  it('has a row for each code, and no other', () => {
    const union = unionCodes()
    assert.ok(union.length > 10, 'the union in src/base/errors.ts was not found')
    assert.deepEqual(codesOf(codes).sort(), union.sort())
  })

  it('fills every cell', () => {
    for (const row of [...codes, ...warnings]) {
      assert.ok(!row.includes(''), `an empty cell in ${row.join(' | ')}`)
    }
  })

  it('says retry and outcome in the agreed words', () => {
    const outcomes = /^(–|((not-applied|committed|unknown)(, | or )?)+)$/
    for (const [code, , retry = '', outcome = ''] of codes) {
      assert.match(retry, /^(yes|no|depends)$/, code)
      assert.match(outcome, outcomes, code)
    }
  })

  it('lets nobody take for final what the sources call retryable, nor the other way round', () => {
    const said = new Map(codes.map(([code = '', , retry = '']) => [readCodeSpans(code)[0], retry]))
    const retryable = new Set<string>()
    for (const call of errorCalls()) {
      const code = /'(ERR_[A-Z_]+)'/.exec(call)?.[1]
      if (code !== undefined && /\bretryable\b/.test(call)) retryable.add(code)
    }
    assert.ok(retryable.size > 5, 'the errors in the sources were not found')
    for (const [code = '', retry] of said) assert.equal(retry !== 'no', retryable.has(code), code)
  })

  it('knows every other code in the sources as a warning', () => {
    const known = new Set([...unionCodes(), ...foreignCodes])
    const others = new Set<string>()
    for (const name of readdirSync(`${root}src`, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts')) continue
      const text = readFileSync(`${root}src/${name}`, 'utf8')
      for (const [, code = ''] of text.matchAll(/'(ERR_[A-Z_]+)'/g)) {
        if (!known.has(code)) others.add(code)
      }
    }
    assert.deepEqual([...others].sort(), codesOf(warnings).sort())
  })
})
