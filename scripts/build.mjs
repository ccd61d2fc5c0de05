/** Builds the package: dist/ is emptied, then filled from src/ by the compiler. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { refuseUsage, requireRuntime } from './runtime.mjs'

requireRuntime()

const usage = 'Usage: npm run build        (takes no arguments)'
const unexpected = process.argv[2]
if (unexpected === '--help') {
  process.stdout.write(`${usage}\n`)
  process.exit(0)
}
if (unexpected !== undefined) refuseUsage(`build does not know "${unexpected}".`, usage)

const root = fileURLToPath(new URL('..', import.meta.url))
rmSync(`${root}dist`, { recursive: true, force: true })
const tsc = fileURLToPath(new URL('bin/tsc', import.meta.resolve('typescript/package.json')))
const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
// It says that what is in there are ES modules; the root can't, see ARCHITECTURE.md.
if (status === 0) copyFileSync(`${root}src/package.json`, `${root}dist/package.json`)
process.exit(status ?? 1)
