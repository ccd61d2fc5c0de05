/**
 * The whole check: format and lint, types, then every test, tidy first. All parts run even if one
 * fails, so that one run tells everything; any failure makes the exit status 1.
 *
 * Everything has a time limit, so that a check which hangs is a failure and not a wait.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'
import { endAtSignals, readFlags, refuseUsage, requireRuntime } from './runtime.mjs'
import { bundleEntries } from './test-bundles.mjs'
import { groupTests } from './test-groups.mjs'

requireRuntime()

/** The tidy tests lead, as they explain the most; then what takes so long that others end first. */
const LEADING = [
  'test/node',
  'test/simulated/regressions.test.ts',
  'test/simulated/lives.test.ts',
  'test/tidy',
]

const toolTimeoutMs = 180_000
const fileTimeoutMs = 400_000
/** A file may end in time and leave a process that holds its output: the runner waits for that. */
const testsTimeoutMs = 2_400_000
const slowestFilesMax = 10
const root = fileURLToPath(new URL('..', import.meta.url))
const usage = [
  'Usage: npm test                    everything: format and lint, types, all tests',
  '       npm test -- test/raft       only the tests whose path starts so',
  '       npm test -- log.test.ts     only the tests whose path ends so',
].join('\n')

const started = performance.now()
process.chdir(root)
const paths = readPaths()
const files = findTests(paths)
const failures = []
if (paths.length === 0) {
  await runPart('Format, lint and types', () => runTools())
}
const counts = { passed: 0, failed: 0, skipped: 0 }
await runPart('Tests', () => runTests())
printEnd()
process.exit(failures.length === 0 ? 0 : 1)

function readPaths() {
  const { positionals } = readFlags({ allowPositionals: true }, usage)
  return positionals.map((path) => path.replace(/^\.\//, ''))
}

/** The test files that `paths` mean, or all, in the order in which they begin. */
function findTests(paths) {
  const all = readdirSync('test', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('test', name).replaceAll('\\', '/'))
  const wanted = new Set(paths.length === 0 ? all : [])
  for (const path of paths) {
    const matches = all.filter((file) => file.startsWith(path) || file.endsWith(path))
    if (matches.length === 0) refuseUsage(`No test file (*.test.ts) matches "${path}".`, usage)
    for (const file of matches) wanted.add(file)
  }
  const rank = (file) => LEADING.findIndex((start) => file.startsWith(start))
  return [...wanted].sort((a, b) => rank(b) - rank(a) || (a < b ? -1 : 1))
}

async function runPart(title, part) {
  process.stdout.write(`\n== ${title}\n`)
  const partStarted = performance.now()
  const ok = await part()
  if (!ok) failures.push(title)
  process.stdout.write(`== ${title}: ${ok ? 'ok' : 'FAILED'} in ${formatSeconds(partStarted)}\n`)
}

/** At the same time: each of them has but one thread for most of its work. */
async function runTools() {
  const results = await Promise.all([
    runTool('@biomejs/biome', 'bin/biome', ['check']),
    ...['tsconfig.json', 'web/tsconfig.json'].map((project) =>
      runTool('typescript', 'bin/tsc', ['-p', project]),
    ),
  ])
  return results.every((ok) => ok)
}

/** Runs a package's command on this very Node.js, whatever else the machine has. */
function runTool(name, bin, args) {
  const path = fileURLToPath(new URL(bin, import.meta.resolve(`${name}/package.json`)))
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [path, ...args], {
      stdio: 'inherit',
      timeout: toolTimeoutMs,
      killSignal: 'SIGKILL',
    })
    child.on('error', (error) => {
      process.stderr.write(`${name} did not start: ${error.message}\n`)
      resolve(false)
    })
    child.on('exit', (code, signal) => {
      if (signal !== null) process.stderr.write(`${name} was ended by ${signal}\n`)
      resolve(code === 0)
    })
  })
}

async function runTests() {
  const durations = []
  let ok = true
  process.env['COLMENA_TEST_FILE_TIMEOUT_MS'] ??= String(fileTimeoutMs)
  endAtSignals()
  shareCompiled()
  const folder = removedAtEnd(join(root, 'data', `test-${process.pid}`))
  await shareBundles(folder)
  const { entries, names } = groupTests(files, join(folder, 'together'))
  const stream = run({
    files: entries,
    // Two more than there are cores, as tests with processes wait for much of their time.
    concurrency: Math.min(4, 2 + availableParallelism()),
    execArgv: ['--import', import.meta.resolve('./test-watchdog.mjs')],
  })
  const pending = new Set(entries.map((entry) => resolve(entry)))
  const limit = setTimeout(() => giveUp(pending, names), testsTimeoutMs)
  stream.on('test:summary', ({ file, duration_ms, counts: seen, success }) => {
    if (file !== undefined) {
      pending.delete(file)
      durations.push({ file: names.get(file) ?? relative(root, file), durationMs: duration_ms })
      return
    }
    ok &&= success
    counts.passed = seen.passed
    counts.failed = seen.tests - seen.passed - seen.skipped - seen.todo
    counts.skipped = seen.skipped + seen.todo
  })
  stream.on('test:fail', () => {
    ok = false
  })
  for await (const text of stream.compose(spec)) process.stdout.write(text)
  clearTimeout(limit)
  printSlowest(durations)
  return ok && counts.passed > 0
}

function giveUp(pending, names) {
  const files = [...pending].map((file) => names.get(file) ?? relative(root, file))
  const minutes = testsTimeoutMs / 60_000
  process.stderr.write(`tests did not end within ${minutes} minutes: ${files.join(', ')}\n`)
  process.exit(1)
}

/**
 * Sources run as they are, so every process and every thread would strip the types of all it loads:
 * four fifths of what the start of a node costs. This keeps what one has made for all others.
 */
function shareCompiled() {
  if (process.env['NODE_COMPILE_CACHE'] !== undefined) return
  process.env['NODE_COMPILE_CACHE'] = removedAtEnd(mkdtempSync(join(tmpdir(), 'colmena-compiled-')))
}

async function shareBundles(folder) {
  const options = await bundleEntries(folder)
  process.env['NODE_OPTIONS'] = `${process.env['NODE_OPTIONS'] ?? ''} ${options}`.trim()
}

/** Folders that no later run has would fill the disk without bound. */
function removedAtEnd(folder) {
  // Who is being ended may still write there.
  process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

function printSlowest(durations) {
  durations.sort((a, b) => b.durationMs - a.durationMs)
  process.stdout.write('\nSlowest test files\n')
  for (const { file, durationMs } of durations.slice(0, slowestFilesMax)) {
    process.stdout.write(`${(durationMs / 1000).toFixed(1).padStart(7)} s  ${file}\n`)
  }
}

function printEnd() {
  if (failures.length > 0) process.stdout.write(`\nFailed: ${failures.join(', ')}\n`)
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''
  process.stdout.write(
    `\n${counts.passed} passed, ${counts.failed} failed${skipped} in ${formatSeconds(started)}\n`,
  )
}

function formatSeconds(sinceMs) {
  return `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`
}
