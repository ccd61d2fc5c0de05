/** A process that restores a data directory up to a stage, and stands there until it is killed. */
import { cpSync, readFileSync } from 'node:fs'
import { type RestoreRequest, restoreNode } from '../../src/index.ts'

const [dataDir = '', copies = '', log = '', stage = ''] = process.argv.slice(2)

async function reached(name: string): Promise<void> {
  if (name !== stage) return
  process.stdout.write('reached\n')
  // Nothing else keeps it alive.
  setInterval(() => {}, 60_000)
  await new Promise(() => {})
}

const from = {
  restore: async (request: RestoreRequest) => {
    cpSync(copies, request.copies, { recursive: true })
    await reached('copied')
    const replay = await request.openReplay()
    await replay.apply(readFileSync(log))
    await reached('applied')
  },
}
await restoreNode({ dataDir, restore: { from } })
