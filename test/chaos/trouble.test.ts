/** What troubles a node from within its process does something, and nothing outlives a run. */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { until } from '../processes/wait.ts'
import { countStrikes, NO_TROUBLE, type Trouble } from './trouble.ts'

const execute = promisify(execFile)
const PRELOAD = `--import=${new URL('trouble.ts', import.meta.url).href}`
const DAY_MS = 86_400_000

/** What the log and the storage thread do, each on a thread, and then what time it is. */
const ACTS: readonly string[] = [
  "for (const sql of ['BEGIN', 'COMMIT']) db.prepare(sql).run()",
  "fs.writeSync(file, 'x')",
  'fs.fdatasyncSync(file)',
  'fs.fdatasync(file, () => {})',
]
const PROGRAM = `
  const { Worker } = process.getBuiltinModule('node:worker_threads')
  new Worker(process.argv[1])
`

function threadOf(act: string): string {
  return `
    import fs from 'node:fs'
    import { DatabaseSync } from 'node:sqlite'
    const db = new DatabaseSync(':memory:')
    const file = fs.openSync(import.meta.filename, 'r+')
    ${act}
    console.log(Date.now())
  `
}

/** A run that is about to be killed, with a node that stands still. */
const RUN = `
  import { spawn } from 'node:child_process'
  import { Guard } from '${new URL('guard.ts', import.meta.url).href}'
  const child = spawn('sleep', ['600'], { stdio: 'ignore' })
  new Guard([]).watch([child.pid])
  child.kill('SIGSTOP')
  console.log(child.pid)
  setInterval(() => {}, 1_000)
`

test('a trouble is in every thread, and counts only where it does something', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'colmena-trouble-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  let runs = 0
  const run = async (
    act: string,
    trouble: Trouble,
  ): Promise<{ readonly days: number; readonly clocks: number; readonly disks: number }> => {
    runs += 1
    const [thread, path] = [join(folder, `${runs}.mjs`), join(folder, `${runs}.json`)]
    writeFileSync(thread, threadOf(act))
    writeFileSync(path, JSON.stringify(trouble))
    const env = { ...process.env, TEST_TROUBLE_FILE: path, NODE_OPTIONS: PRELOAD }
    const { stdout } = await execute(process.execPath, ['-e', PROGRAM, thread], { env })
    const days = Math.floor(0.5 + (Number(stdout) - Date.now()) / DAY_MS)
    const clocks = countStrikes(path, 'clockOffsetMs')
    return { days, clocks, disks: countStrikes(path, 'diskDelayMs') }
  }
  const [well, early, ...slow] = await Promise.all([
    run(ACTS.join('\n'), NO_TROUBLE),
    run('', { ...NO_TROUBLE, clockOffsetMs: 3 * DAY_MS }),
    ...ACTS.map((act) => run(act, { ...NO_TROUBLE, diskDelayMs: 1 })),
  ])
  assert.deepEqual(well, { days: 0, clocks: 0, disks: 0 })
  assert.equal(early.days, 3)
  assert.ok(early.clocks > 0)
  for (const [at, act] of ACTS.entries()) assert.ok((slow[at]?.disks ?? 0) > 0, act)
})

test('a node that stands still ends though its run was killed', async () => {
  const args = ['--input-type=module', '-e', RUN]
  const run = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(run.stdout, 'data')) as [Buffer]
  const pid = Number(String(line))
  assert.ok(isThere(pid))
  run.kill('SIGKILL')
  await until('it has ended', () => !isThere(pid))
})

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
