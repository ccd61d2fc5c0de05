import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ensureBuilt } from './built.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const SENTENCE = /^Colmena needs Node\.js 24\.14 or later and this is \S+: [^\n]*\n$/

/** The README's first code block, on ports that are free here. */
async function firstScreen(): Promise<string> {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const code = /```ts\n([\s\S]*?)```/.exec(readme)?.[1]
  assert.ok(code !== undefined, 'the README begins with code')
  let adapted = code
  for (const port of ['9001', '9002', '9003']) {
    assert.ok(code.includes(`127.0.0.1:${port}`), `the README uses port ${port}`)
    adapted = adapted.replace(`127.0.0.1:${port}`, `127.0.0.1:${await freePort()}`)
  }
  return adapted
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  assert.ok(address !== null && typeof address === 'object')
  return address.port
}

/** A Node.js of this machine that is older than the one we need, if there is one. */
function findOldNode(): string | null {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const candidate = join(folder, 'node')
    if (folder.includes('node_modules') || !existsSync(candidate)) continue
    const version = spawnSync(candidate, ['--version'], { encoding: 'utf8' }).stdout ?? ''
    if (/^v(1\d|2[0-3])\./.test(version)) return candidate
  }
  return null
}

describe("the README's first screen", () => {
  let folder = ''
  before(async () => {
    // In the clone, so that 'colmena' is this very package, as its build has it.
    folder = mkdtempSync(join(root, '.first-screen-'))
    writeFileSync(join(folder, 'first.ts'), await firstScreen())
    ensureBuilt()
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  function run(node: string, args: readonly string[]): { stdout: string; stderr: string } {
    // A person's shell has nothing of the test runner.
    const { NODE_OPTIONS: _, ...env } = process.env
    const options = { cwd: folder, env, encoding: 'utf8', timeout: 60_000 } as const
    const { stdout, stderr } = spawnSync(node, [...args, 'first.ts'], options)
    return { stdout, stderr }
  }

  it('prints its row, and one more when it runs again', () => {
    const first = run(process.execPath, [])
    assert.equal(first.stderr, '')
    assert.match(first.stdout, /^\[ \{ who: 'Ada', at: '[\d: -]+' \} \]\n$/)
    const second = run(process.execPath, [])
    assert.equal(second.stderr, '')
    assert.equal(second.stdout.match(/who: 'Ada'/g)?.length, 2)
  })

  it('says one sentence on a Node.js that is too old', () => {
    const pretend = "Object.defineProperty(process.versions, 'node', { value: '22.1.0' })"
    const { stdout, stderr } = run(process.execPath, [
      '--import',
      `data:text/javascript,${pretend}`,
    ])
    assert.equal(stdout, '')
    assert.match(stderr, SENTENCE)
    const old = findOldNode()
    if (old === null) return
    const really = run(old, [])
    assert.equal(really.stdout, '')
    assert.match(really.stderr, SENTENCE)
  })
})
