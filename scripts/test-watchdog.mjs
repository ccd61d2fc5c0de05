/**
 * Loaded before each test file: ends the process when the file takes too long. The runner's own
 * time limit counts tests only, so a file whose tests are over but which left a server open, or
 * which is caught in a loop, would hold everything up for ever.
 *
 * The limit is kept by a thread of its own, as a loop on the main thread lets no timer fire.
 */
import { isMainThread, Worker } from 'node:worker_threads'

const timeoutMs = Number(process.env['COLMENA_TEST_FILE_TIMEOUT_MS'])
const warningAheadMs = Math.min(1_000, timeoutMs / 2)

if (isMainThread && timeoutMs > 0) {
  const file = process.argv[1] ?? 'a test process'
  const source = `setTimeout(() => {
    const { writeSync } = process.getBuiltinModule('node:fs')
    writeSync(2, ${JSON.stringify(`${file} did not end within ${timeoutMs / 1000} s: killed\n`)})
    process.kill(process.pid, 'SIGKILL')
  }, ${timeoutMs})`
  new Worker(source, { eval: true, execArgv: [] }).unref()
  const report = () => {
    const held = process.getActiveResourcesInfo().filter((name) => name !== 'MessagePort')
    process.stderr.write(`${file} is about to be killed; still open: ${held.join(', ')}\n`)
  }
  setTimeout(report, timeoutMs - warningAheadMs).unref()
}
