/**
 * Builds the package: the code of src/ by esbuild, its types by tsc, and web/ by Vite, aside; then
 * that takes the place of dist/.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BUNDLING, ENTRIES } from './bundling.mjs'
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
const manifest = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))
const doors = Object.values(manifest.exports).filter((door) => typeof door !== 'string')
// Aside, as tests and servers read the pages of dist/ while another test builds it.
const built = `${root}data/build-${process.pid}`
process.on('exit', () => rmSync(built, { recursive: true, force: true }))
compileTypes()
await bundle()
// It says that what is in there are ES modules; the root can't, see ARCHITECTURE.md.
copyFileSync(`${root}src/package.json`, `${built}/package.json`)
await buildPages()
rmSync(`${root}dist`, { recursive: true, force: true })
renameSync(built, `${root}dist`)

/** Only what the doors of the package speak of: whatever else was compiled is nobody's business. */
function compileTypes() {
  const tsc = fileURLToPath(new URL('bin/tsc', import.meta.resolve('typescript/package.json')))
  const command = [tsc, '-p', 'tsconfig.build.json', '--emitDeclarationOnly', '--outDir', built]
  const { status } = spawnSync(process.execPath, command, { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
  const used = new Set()
  for (const { types } of doors) addTypes(types.replace('./dist/', ''), used)
  for (const file of readdirSync(built, { recursive: true, encoding: 'utf8' })) {
    if (file.endsWith('.d.ts') && !used.has(file)) rmSync(join(built, file))
  }
}

/** Adds the file of types `path` to `used`, and all that it speaks of. */
function addTypes(path, used) {
  if (used.has(path)) return
  used.add(path)
  const text = readFileSync(join(built, path), 'utf8')
  for (const [, other] of text.matchAll(/(?:from|import) ?\(?['"](\.[^'"]+)\.ts['"]/g)) {
    addTypes(normalize(join(dirname(path), `${other}.d.ts`)), used)
  }
}

/**
 * A node's threads would look for and read two hundred files, a third of what `open` takes. All
 * that is made lies two folders below the package's own, as the sources do: code that finds files
 * from where it stands finds the same ones, in whichever file it has come to be.
 */
async function bundle() {
  const { build } = await import('esbuild')
  const begun = [...Object.values(manifest.bin), ...doors.map((door) => door.default)]
  const places = begun.map((path) => /^\.\/dist\/(.*)\.js$/.exec(path)[1])
  // Scripts of this repository begin with the demo.
  const all = [...places, ...ENTRIES, 'demo/demo']
  await build({
    ...BUNDLING,
    absWorkingDir: root,
    entryPoints: all.map((out) => ({ in: `src/${sourceOf(out)}.ts`, out })),
    outdir: built,
    chunkNames: 'shared/[name]-[hash]',
    legalComments: 'none',
  })
}

/** The package's own door is a file beside the folders of `src/`, and is built into one. */
function sourceOf(place) {
  return place === 'index/index' ? 'index' : place
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
