/** Builds the package: src/ by tsc and web/ by Vite, aside; then that takes the place of dist/. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, readFileSync, renameSync, rmSync } from 'node:fs'
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
// Aside, as tests and servers read the pages of dist/ while another test builds it.
const built = `${root}data/build-${process.pid}`
process.on('exit', () => rmSync(built, { recursive: true, force: true }))
const tsc = fileURLToPath(new URL('bin/tsc', import.meta.resolve('typescript/package.json')))
compile('--emitDeclarationOnly')
// What users read is in the types; in the code it would be a sixth of what they install.
compile('--removeComments', '--declaration', 'false', '--isolatedDeclarations', 'false')
// It says that what is in there are ES modules; the root can't, see ARCHITECTURE.md.
copyFileSync(`${root}src/package.json`, `${built}/package.json`)
await buildPages()
rmSync(`${root}dist`, { recursive: true, force: true })
renameSync(built, `${root}dist`)

/** @param {readonly string[]} options */
function compile(...options) {
  const command = [tsc, '-p', 'tsconfig.build.json', '--outDir', built, ...options]
  const { status } = spawnSync(process.execPath, command, { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

/** Two pages without inline scripts or styles, and relative links, so that any prefix will do. */
async function buildPages() {
  // Only now: an old Node.js must get its sentence, and not what Vite says to it.
  const { build } = await import('vite')
  const [, example] = /```ts\n([\s\S]*?)```/.exec(readFileSync(`${root}README.md`, 'utf8'))
  await build({
    root: `${root}web`,
    base: './',
    configFile: false,
    envDir: false,
    publicDir: false,
    logLevel: 'warn',
    define: { README_EXAMPLE: JSON.stringify(example) },
    build: {
      outDir: `${built}/web`,
      emptyOutDir: true,
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
      rolldownOptions: { input: [`${root}web/demo.html`, `${root}web/cluster.html`] },
    },
  })
}
