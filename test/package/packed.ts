/** The package as `npm publish` would send it, packed from a copy of this repository. */
import assert from 'node:assert/strict'
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root: string = fileURLToPath(new URL('../..', import.meta.url))

/** Written by installs, builds and running tests; what npm reads is not among them. */
const leftOut = /^(dist|data|coverage)$|(^|\/)(node_modules|\.(?!npm|gitignore)[^/]*|[^/]*\.tgz)$/

export interface PackedFile {
  readonly path: string
  readonly size: number
}

export interface Packed {
  /** A temporary folder, for consumers to be made in. */
  readonly folder: string
  readonly tarball: string
  readonly files: readonly PackedFile[]
  remove(): void
}

/** The environment of somebody who has never heard of this repository, but for what saves time. */
export function foreignEnv(): NodeJS.ProcessEnv {
  const own = /^(npm_|node_(?!compile_cache$)|colmena_|init_cwd$)/i
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !own.test(name)))
}

export function runNpm(cwd: string, args: readonly string[]): SpawnSyncReturns<string> {
  // npm names itself to what it starts; without it, the one in the path is asked.
  const own = process.env['npm_execpath']
  const options = { cwd, env: foreignEnv(), encoding: 'utf8', timeout: 60_000 } as const
  const result = own?.endsWith('npm-cli.js')
    ? spawnSync(process.execPath, [own, ...args], options)
    : spawnSync('npm', args, { ...options, shell: process.platform === 'win32' })
  assert.equal(result.status, 0, `npm ${args.join(' ')}: ${result.error ?? result.stderr}`)
  return result
}

/** From a copy, as other tests build and use `dist/` of this repository meanwhile. */
export function packPackage(): Packed {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'colmena-package-')))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  try {
    const copy = join(folder, 'repository')
    buildCopy(copy)
    const { filename, files } = packCopy(copy, folder)
    return { folder, tarball: join(folder, filename), files, remove }
  } catch (error) {
    remove()
    throw error
  }
}

function buildCopy(copy: string): void {
  const filter = (path: string): boolean =>
    !leftOut.test(relative(root, path).replaceAll('\\', '/'))
  cpSync(root, copy, { recursive: true, filter })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'), 'junction')
  const build = spawnSync(process.execPath, ['scripts/build.mjs'], { cwd: copy, encoding: 'utf8' })
  assert.equal(build.status, 0, build.stdout + build.stderr)
}

interface PackReport {
  readonly filename: string
  readonly files: readonly PackedFile[]
}

function packCopy(copy: string, target: string): PackReport {
  const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', target]
  const { stdout } = runNpm(copy, pack)
  const listed: unknown = JSON.parse(stdout)
  // npm 12 answers with an object by package name where npm 11 gave an array.
  const [report] = Object.values(listed as Record<string, PackReport>)
  assert.ok(report !== undefined, stdout)
  return report
}
