/**
 * Tests start hundreds of processes and threads, each of which would read a hundred source files:
 * half of what its start costs. Here what they begin with is put into few files, and they are told
 * to begin with those. Only a first file is exchanged, and it says still that it is the source it
 * was made of; a process whose NODE_OPTIONS a test sets runs from the sources.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { BUNDLING, ENTRIES } from './bundling.mjs'

/** Nothing that itself exchanges parts of the product: that must find them as they are. */
const BEGUN = [
  'src/cli/colmena.ts',
  ...ENTRIES.map((entry) => `src/${entry}.ts`),
  'test/demo/fly-machine.ts',
  'test/processes/node-process.ts',
]
const root = fileURLToPath(new URL('..', import.meta.url))

/** Bundles into `folder`, below this package for the sake of others. Answers for NODE_OPTIONS. */
export async function bundleEntries(folder) {
  // Only now: an old Node.js must get its sentence first.
  const { build } = await import('esbuild')
  await build({
    ...BUNDLING,
    absWorkingDir: root,
    entryPoints: BEGUN,
    outdir: folder,
    outbase: root,
    outExtension: { '.js': '.mjs' },
    keepNames: true,
    plugins: [{ name: 'own-urls', setup: keepUrls }],
  })
  const pairs = BEGUN.map((path) => [
    pathToFileURL(join(root, path)).href,
    pathToFileURL(join(folder, path.replace(/\.ts$/, '.mjs'))).href,
  ])
  const hook = join(folder, 'begin-with.mjs')
  writeFileSync(hook, hookFor(pairs))
  return `--import=${pathToFileURL(hook).href}`
}

/** Code that finds files beside it finds those of the source. */
function keepUrls(build) {
  build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
    const url = JSON.stringify(pathToFileURL(path).href)
    const contents = readFileSync(path, 'utf8').replaceAll('import.meta.url', url)
    return { contents, loader: 'ts' }
  })
}

/** Whatever Node.js a test starts loads this, also one that knows no hooks. */
function hookFor(pairs) {
  return `import module from 'node:module'
const bundles = new Map(${JSON.stringify(pairs)})
const hook = module.registerHooks?.({
  resolve(specifier, context, next) {
    if (context.parentURL !== undefined) return next(specifier, context)
    hook.deregister()
    return next(bundles.get(specifier) ?? specifier, context)
  },
})
`
}
