/** The pages for who comes from elsewhere: every program in them runs to its end. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { readCodeBlocks, readPage, root } from './pages.ts'

const SOURCES: Readonly<Record<string, string>> = {
  colmena: 'src/index.ts',
  'colmena/jobs': 'src/jobs/jobs.ts',
  'colmena/kysely': 'src/dialects/kysely.ts',
  'colmena/knex': 'src/dialects/knex.ts',
  'colmena/testing': 'src/testing/testing.ts',
}

/** The program as it runs in this clone, its data in a folder that goes. */
function adapt(t: TestContext, code: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'colmena-programs-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  let adapted = code.replaceAll("'./data", `'${folder}/data`)
  for (const [name, path] of Object.entries(SOURCES)) {
    adapted = adapted.replaceAll(`from '${name}'`, `from '${pathToFileURL(join(root, path))}'`)
  }
  return adapted
}

for (const page of ['docs/coming-from.md', 'docs/tools.md', 'docs/testing-your-app.md']) {
  describe(page, () => {
    const programs = readCodeBlocks(readPage(page)).filter(({ info }) => info === 'ts')

    it('has programs', () => assert.ok(programs.length >= 3))

    for (const { code, line } of programs) {
      it(`runs the program of line ${line}`, { timeout: 60_000 }, async (t) => {
        const args = ['--input-type=module-typescript', '--eval', adapt(t, code)]
        const child = spawn(process.execPath, args, { cwd: root, timeout: 50_000 })
        let output = ''
        child.stdout.resume()
        child.stderr.setEncoding('utf8').on('data', (text: string) => {
          output += text
        })
        const [status] = await once(child, 'close')
        assert.deepEqual([status, output], [0, ''])
      })
    }
  })
}

describe('docs/coming-from.md', () => {
  it('has three snippets of each origin, before and after', () => {
    const sections = readPage('docs/coming-from.md').split(/^## /m).slice(1)
    assert.equal(sections.length, 4)
    for (const section of sections) {
      const infos = readCodeBlocks(section).map(({ info }) => info)
      assert.deepEqual(infos, ['js', 'ts', 'js', 'ts', 'js', 'ts'], section.split('\n', 1)[0])
    }
  })
})
