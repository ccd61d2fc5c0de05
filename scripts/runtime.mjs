import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

/**
 * One clear sentence instead of a stack trace when a script is started by a Node.js that cannot run
 * this repository. npm puts the pinned one first in the path, so only direct starts can meet this.
 */
export function requireRuntime() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 24 || (major === 24 && minor >= 14)) return
  const script = process.argv[1]?.split('/').slice(-2).join('/') ?? 'the script'
  process.stderr.write(
    `This script needs Node.js 24.14 or later and found ${process.versions.node}: ` +
      `run it with the Node.js pinned here, \`npx node ${script}\`.\n`,
  )
  process.exit(1)
}

/** Prints what was wrong with the command line and what would be right, then ends with status 2. */
export function refuseUsage(problem, usage) {
  process.stderr.write(`${problem}\n\n${usage}\n`)
  process.exit(2)
}

/**
 * What `parseArgs` finds with `config`, to which --help is added: that prints `usage` and ends with
 * status 0, and a flag that it does not know with status 2.
 */
export function readFlags(config, usage) {
  let parsed
  try {
    parsed = parseArgs({ ...config, options: { ...config.options, help: { type: 'boolean' } } })
  } catch (error) {
    refuseUsage(`${error.message.split('. ')[0]}.`, usage)
  }
  if (!parsed.values.help) return parsed
  process.stdout.write(`${usage}\n`)
  process.exit(0)
}

/** For scripts that run the package as users get it, from the repository's own folder. */
export function buildIfOlder() {
  const built = statSync('dist/index.js', { throwIfNoEntry: false })?.mtimeMs ?? 0
  const sources = ['src', 'web']
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => {
      return readdirSync(folder, { recursive: true }).map((name) => join(folder, name))
    })
  const newest = Math.max(...sources.map((path) => statSync(path).mtimeMs))
  if (built > newest) return
  process.stdout.write('building\n')
  const { status } = spawnSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' })
  if (status !== 0) process.exit(1)
}
