/** Links and anchors lead somewhere, and every TypeScript block of the pages compiles. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { posix } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { listPages, readCodeBlocks, readPage, root, withoutCodeBlocks } from './pages.ts'

interface Page {
  readonly path: string
  readonly text: string
}

/** The relative links of a page that lead nowhere, each with the reason. */
function findBrokenLinks(page: Page, read: (path: string) => string | null): string[] {
  const broken: string[] = []
  const text = withoutCodeBlocks(page.text).replaceAll(/`[^`\n]*`/g, '')
  for (const [, target = ''] of text.matchAll(/\[[^\]]*\]\(([^)\s]+)[^)]*\)/g)) {
    if (/^[a-z]+:/.test(target)) continue
    const [file = '', anchor] = target.split('#')
    const path = file === '' ? page.path : posix.join(posix.dirname(page.path), file)
    const found = file === '' ? page.text : read(path)
    if (found === null) broken.push(`${target}: no such file`)
    else if (anchor !== undefined && !listAnchors(found).has(anchor)) {
      broken.push(`${target}: no such heading`)
    }
  }
  return broken
}

/** The anchors that a page's headings get on the usual hosts. */
function listAnchors(text: string): Set<string> {
  const anchors = new Set<string>()
  for (const [, heading = ''] of withoutCodeBlocks(text).matchAll(/^#+ +(.+)$/gm)) {
    const plain = heading.replaceAll(/[`*]|\[|\]\([^)]*\)/g, '').toLowerCase()
    anchors.add(plain.replaceAll(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-'))
  }
  return anchors
}

function readIfThere(path: string): string | null {
  if (!existsSync(root + path)) return null
  return statSync(root + path).isDirectory() ? '' : readPage(path)
}

/** Runs the compiler over the code, one module for each block, and gives what it says. */
function compileBlocks(folderName: string, blocks: ReadonlyMap<string, string>): string {
  // Inside the project, so that the blocks find the same type packages as the sources do.
  const folder = `${root}node_modules/.cache/${folderName}-${process.pid}`
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const [name, code] of blocks) writeFileSync(`${folder}/${name}.ts`, code)
  const config = {
    extends: '../../../tsconfig.json',
    compilerOptions: {
      paths: {
        colmena: ['../../../src/index.ts'],
        'colmena/server': ['../../../src/server/server.ts'],
        'colmena/jobs': ['../../../src/jobs/jobs.ts'],
        'colmena/backup': ['../../../src/backup/backup.ts'],
        'colmena/certificates': ['../../../src/certificates/certificates.ts'],
        'colmena/lan': ['../../../src/lan/lan.ts'],
        'colmena/fly': ['../../../src/fly/fly.ts'],
        'colmena/dns': ['../../../src/dns/dns.ts'],
        'colmena/kysely': ['../../../src/dialects/kysely.ts'],
        'colmena/knex': ['../../../src/dialects/knex.ts'],
        'colmena/testing': ['../../../src/testing/testing.ts'],
      },
      // A reader's snippet may leave a variable for the reader.
      noUnusedLocals: false,
      isolatedDeclarations: false,
      declaration: false,
    },
    include: ['*.ts'],
  }
  writeFileSync(`${folder}/tsconfig.json`, JSON.stringify(config))
  writeFileSync(`${folder}/package.json`, '{ "type": "module" }')
  try {
    const tsc = fileURLToPath(new URL('bin/tsc', import.meta.resolve('typescript/package.json')))
    const run = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' })
    if (run.status === 0) return ''
    // Errors of the sources themselves are the type check's to report.
    const output = `${run.stdout}${run.stderr}`
    const lines = output.split('\n').filter((line) => !line.startsWith('src/'))
    return lines.join('\n')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

describe('Markdown pages', () => {
  const pages = listPages().map((path) => ({ path, text: readPage(path) }))

  it('are found', () => {
    const paths = pages.map(({ path }) => path)
    for (const path of ['README.md', 'ARCHITECTURE.md', 'docs/errors.md']) {
      assert.ok(paths.includes(path), `${path} is not among ${paths.join(', ')}`)
    }
  })

  for (const page of pages) {
    it(`${page.path} has no dead link`, () => {
      assert.deepEqual(findBrokenLinks(page, readIfThere), [])
    })
  }

  it('have TypeScript blocks that compile', () => {
    const blocks = new Map<string, string>()
    for (const { path, text } of pages) {
      for (const { info, code, line } of readCodeBlocks(text)) {
        assert.match(info, /^\w+$/, `${path}:${line} a block names its language, and only that`)
        const name = `${path.replaceAll(/\W/g, '-')}-line-${line}`
        if (info === 'ts') blocks.set(name, `${code}\nexport {}\n`)
      }
    }
    assert.ok(blocks.size > 0, 'no block was found')
    assert.equal(compileBlocks('pages', blocks), '')
  })
})

describe('the checks of the pages', () => {
  const read = (path: string): string | null => (path === 'docs/a.md' ? '# One `two`: 3\n' : null)

  it('find dead links and headings', () => {
    const text =
      '[a](a.md) [b](b.md) [c](a.md#one-two-3) [d](a.md#one) [e](#top) [f](http://x)\n# Top'
    assert.deepEqual(findBrokenLinks({ path: 'docs/c.md', text }, read), [
      'b.md: no such file',
      'a.md#one: no such heading',
    ])
  })

  it('leave code alone', () => {
    const text = '```ts\nconst [a](b.md)\n```\n`[a](b.md)`\n'
    assert.deepEqual(findBrokenLinks({ path: 'docs/c.md', text }, read), [])
  })

  it('report a block that does not compile', () => {
    const blocks = new Map([['wrong', "import { missing } from 'colmena'\nmissing()\n"]])
    assert.match(compileBlocks('wrong-page', blocks), /wrong\.ts.*missing/)
  })
})
