/** Processes that tests start begin with bundles, which are as good as the sources. */
import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { root } from '../docs/pages.ts'
import { runNode } from './run-node.ts'

it('a process begins with the bundle of its first file, which finds what lies beside that', (t) => {
  mkdirSync(join(root, 'data'), { recursive: true })
  const folder = mkdtempSync(join(root, 'data', 'bundles-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const code = `
    import { bundleEntries } from './scripts/test-bundles.mjs'
    process.stdout.write(await bundleEntries(${JSON.stringify(folder)}))`
  const bundled = runNode({ args: ['--input-type=module', '--eval', code] })
  assert.equal(bundled.status, 0, bundled.stderr)
  appendFileSync(join(folder, 'src/cli/colmena.mjs'), "\nprocess.stderr.write('the bundle\\n')")
  const env = { NODE_OPTIONS: bundled.stdout }
  const { status, stdout, stderr } = runNode({ args: ['src/cli/colmena.ts', '--version'], env })
  assert.deepEqual([status, stderr], [0, 'the bundle\n'])
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/)
})
