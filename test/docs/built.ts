import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './pages.ts'

/** All that `dist/` is made of. */
const SOURCES = [
  'src',
  'web',
  'scripts/build.mjs',
  'README.md',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
]

/** Builds `dist/`, unless it was made after the last change of what it is made of. */
export function ensureBuilt(): void {
  const built = join(root, 'dist/package.json')
  const changedMs = Math.max(...SOURCES.map((path) => changeOf(join(root, path))))
  if (existsSync(built) && statSync(built).mtimeMs > changedMs) return
  const build = spawnSync(process.execPath, ['scripts/build.mjs'], { cwd: root, encoding: 'utf8' })
  assert.equal(build.status, 0, build.stdout + build.stderr)
}

/** Of a file, or of the newest one below a folder; the folder's own says what was removed. */
function changeOf(path: string): number {
  const stats = statSync(path)
  if (!stats.isDirectory()) return stats.mtimeMs
  const below = readdirSync(path).map((name) => changeOf(join(path, name)))
  return Math.max(stats.mtimeMs, ...below)
}
