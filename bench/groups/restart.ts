import { join } from 'node:path'
import { until } from '../clock.ts'
import { median } from '../figures.ts'
import { MemberHandle } from '../member-handle.ts'
import type { GroupContext } from './group.ts'

const ROW_BYTES = 1_000_000
const ROWS = 1_000
const RESTARTS = 5
const LOG_BYTES_MAX = 200_000_000

/** As after a crash: the process is killed, not closed. */
export async function measureRestartGroup({ stage, report }: GroupContext): Promise<void> {
  const options = { dataDir: join(stage.createFolder(), 'node') }
  let member = new MemberHandle(stage.program)
  await member.call('open', options)
  await member.call('execute', 'CREATE TABLE large (id INTEGER PRIMARY KEY, body BLOB)')
  await member.call('fill', 'INSERT INTO large (body) VALUES (?)', ROWS, ROW_BYTES)
  await until('the log is compacted', async () => {
    const { compactedIndex, logBytes } = await member.call('status')
    return compactedIndex > 0 && logBytes < LOG_BYTES_MAX
  })
  const timesMs: number[] = []
  for (let restart = 0; restart < RESTARTS; restart += 1) {
    await member.kill()
    member = new MemberHandle(stage.program)
    timesMs.push(await member.call('open', options))
  }
  await member.kill()
  report('restart.1gb.ms', median(timesMs))
}
