import { setTimeout } from 'node:timers/promises'
import { isColmenaError } from '../base/errors.ts'
import type { Statement } from '../command/command.ts'
import type { NodeCore } from './node-core.ts'
import type { TransactionPlace } from './transaction-reads.ts'
import type { TransactionName } from './transactions.ts'

/** Between two looks for a leader. */
const LOOK_AGAIN_MS = 20

/** A new leader is waited for; a database that there is not yet is made first. */
export async function beginTrial(
  { core, database, doubleQuotedStrings, changes }: TransactionPlace,
  name: TransactionName,
  statements: readonly Statement[],
  base: number | null,
  signal: AbortSignal | undefined,
  checkOpen: () => void,
): ReturnType<NodeCore['transactions']['step']> {
  core.writes.checkAccepted()
  const untilMs = performance.now() + 2 * core.config.electionTimeoutMs
  for (;;) {
    // What began after its end would hold up the writes of others, or be asked of nobody.
    checkOpen()
    try {
      return await core.transactions.step(name, statements, { base }, signal)
    } catch (error) {
      if (!isColmenaError(error)) throw error
      if (error.code === 'ERR_NOT_FOUND' && base === null) {
        const unit = { statements: [] }
        const place = { index: 0, count: 0 }
        const asked = { doubleQuotedStrings, changes }
        await core.writes.submit({ database, ...asked, unit, place, signal })
      } else if (error.code === 'ERR_NO_LEADER' && performance.now() < untilMs) {
        // The next try notices the signal.
        await setTimeout(LOOK_AGAIN_MS)
      } else {
        throw error
      }
    }
  }
}
