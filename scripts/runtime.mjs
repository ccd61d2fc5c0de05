import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

// Whoever reads the output may have enough of it, as `head` does. A script that has more to say
// ends then without a word, with the status that a shell tells of any program ended so.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(141)
  })
}

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

/** A signal ends the script by its own way out, where what it made is removed. */
export function endAtSignals() {
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))
}

/** Prints what was wrong with the command line and what would be right, then ends with status 2. */
export function refuseUsage(problem, usage) {
  process.stderr.write(`${problem}\n\n${usage}\n`)
  process.exit(2)
}

/**
 * What `parseArgs` finds with `config`, to which --help is added: that prints `usage` and ends with
 * status 0. A flag that it does not know, that lacks its value or is given again: with status 2.
 */
export function readFlags(config, usage) {
  const options = { ...config.options, help: { type: 'boolean' } }
  refuseDoubts(parseArgs({ ...config, options, strict: false, tokens: true }), options, usage)
  let parsed
  try {
    parsed = parseArgs({ ...config, options })
  } catch (error) {
    refuseUsage(`${error.message.split('. ')[0]}.`, usage)
  }
  if (!parsed.values.help) return parsed
  process.stdout.write(`${usage}\n`)
  process.exit(0)
}

/** What `parseArgs` takes as it comes, or refuses without a word of what it was given. */
function refuseDoubts({ tokens }, options, usage) {
  const given = new Map()
  for (const { kind, name, value, inlineValue } of tokens) {
    if (kind !== 'option' || !Object.hasOwn(options, name)) continue
    const { type, multiple } = options[name]
    if (type === 'string' && inlineValue === false && /^-./.test(value)) {
      refuseUsage(`--${name} needs a value: if "${value}" is one, say --${name}=${value}.`, usage)
    }
    if (given.has(name) && !multiple) {
      const values = type === 'string' ? `: "${given.get(name)}" and "${value}"` : ''
      refuseUsage(`--${name} is given twice${values}.`, usage)
    }
    given.set(name, value)
  }
}

/** Refuses those of `others` that are given beside `flag`, as they would do nothing there. */
export function refuseBeside(flag, others, values, usage) {
  if (values[flag] === undefined) return
  const other = others.find((name) => values[name] !== undefined)
  if (other !== undefined) refuseUsage(`--${other} does nothing beside --${flag}.`, usage)
}

/** For scripts that run the package as users get it, from the repository's own folder. */
export function buildIfOlder() {
  const built = statSync('dist/package.json', { throwIfNoEntry: false })?.mtimeMs ?? 0
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
