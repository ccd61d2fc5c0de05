import type { Answer, Client } from '../client.ts'
import type { Told } from '../record.ts'
import type { Seat } from '../rig.ts'

type Row = Readonly<Record<string, unknown>>

export interface Steps {
  execute(sql: string, args?: readonly unknown[]): Promise<readonly Row[]>
}

/** A step failed, or the transaction itself: it never commits. */
class Given extends Error {
  readonly answer: Answer<unknown>

  constructor(answer: Answer<unknown>) {
    super(answer.code)
    this.answer = answer
  }
}

/**
 * A transaction that looks before it writes, step by step from outside of the node: it commits
 * where `work` resolves to true. What it came to, counted from its beginning.
 */
export async function transact(
  client: Client,
  seat: Seat,
  work: (steps: Steps) => Promise<boolean>,
): Promise<Told & { readonly isCommitted: boolean }> {
  const callMs = performance.now()
  const began = await client.call(seat, 'begin', 'write')
  // Nobody who has no number can ever commit it.
  if (began.value === null) return { ...began, fate: 'not-applied', isCommitted: false }
  const number = began.value
  const execute: Steps['execute'] = async (sql, args = []) => {
    const answer = await client.call(seat, 'executeIn', number, sql, args)
    if (answer.value === null) throw new Given(answer)
    return answer.value.rows
  }
  try {
    const isWanted = await work({ execute })
    const ended = await client.call(seat, 'end', number, isWanted ? 'commit' : 'rollback')
    if (!isWanted) return { ...ended, callMs, fate: 'not-applied', isCommitted: false }
    return { ...ended, callMs, isCommitted: ended.fate === 'ok' }
  } catch (error) {
    if (!(error instanceof Given)) throw error
    void client.call(seat, 'end', number, 'rollback')
    return { ...error.answer, callMs, fate: 'not-applied', isCommitted: false }
  }
}
