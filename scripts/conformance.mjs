// Replays etcd/raft's own scenarios, and nothing else, with the Node.js that runs this script.
// They come from CONFORMANCE_DIR (see test/conformance/etcd-raft.test.ts). Exits with 1 if one
// differs or none is found.

import { resolve } from 'node:path'
import { run } from 'node:test'
import { openRecorder, RECORD_USAGE, recordFlag } from './record.mjs'
import { readFlags, requireRuntime } from './runtime.mjs'

requireRuntime()

const usage = [
  "Usage: npm run conformance                    replays etcd/raft's own scenarios",
  '       CONFORMANCE_DIR=FOLDER npm run conformance   … of a checkout of etcd-io/raft',
  RECORD_USAGE,
].join('\n')
const { values } = readFlags({ options: recordFlag }, usage)
const recorder = await openRecorder(values.record, 'conformance', usage)

const file = resolve(import.meta.dirname, '../test/conformance/etcd-raft.test.ts')
let passedCount = 0
let skippedCount = 0
let failedCount = 0

const stream = run({ files: [file], isolation: 'none' })
stream.on('test:pass', (event) => {
  if (event.skip !== undefined) {
    skippedCount++
    console.log(`skipped: ${event.skip}`)
  } else if (event.name.endsWith('.txt')) {
    passedCount++
  }
})
stream.on('test:fail', (event) => {
  if (event.details.type === 'suite') return
  failedCount++
  console.log(`failed: ${event.name}`)
  console.log(event.details.error.cause?.message ?? event.details.error.message)
})
stream.on('end', () => {
  console.log(`${passedCount} files passed, ${failedCount} failed, ${skippedCount} groups skipped`)
  const isGood = failedCount === 0 && passedCount > 0
  recorder?.end({ isGood, figures: { files: passedCount, failed: failedCount } })
  process.exitCode = isGood ? 0 : 1
})
stream.resume()
