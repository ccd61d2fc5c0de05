import { resolve, sep } from 'node:path'
import { ColmenaError } from '../base/errors.ts'
import type { Statement } from '../command/command.ts'
import type { AskedDatabase, ReaderAnswer } from '../database/database.ts'
import { invalid } from './arguments.ts'
import { checkCopyTarget } from './copy-target.ts'
import { copyDatabase, type DatabaseCopy, failureOf } from './copying.ts'
import type { StatementPlace } from './failures.ts'
import type { NodeCore } from './node-core.ts'
import type { IsolatedCall } from './reader-processes.ts'

/** What the rows of one call may take: they are copied between processes. */
const RESULT_BYTES_MAX = 64 * 1024 * 1024
export interface IsolatedOptions {
  readonly asked: AskedDatabase
  readonly signal: AbortSignal | undefined
}

/** What isolated reads answer. */
export type IsolatedRows = Pick<Extract<ReaderAnswer, { kind: 'rows' }>, 'results' | 'lastWrite'>

/** Runs reads on one snapshot, in a process of their own. */
export async function readIsolated(
  core: NodeCore,
  statements: readonly Statement[],
  place: StatementPlace,
  options: IsolatedOptions,
): Promise<IsolatedRows> {
  const work = { kind: 'query', statements, resultBytesMax: RESULT_BYTES_MAX } as const
  const { database } = options.asked
  const timeoutMs = core.config.statementTimeoutMs
  const timedOut = (): ColmenaError => {
    const sql = statements.map((statement) => statement.sql).join('; ')
    core.slow.readTook(database, sql, timeoutMs)
    const message = `the read was ended after statementTimeoutMs (${timeoutMs} ms)`
    return new ColmenaError('ERR_TIMEOUT', message)
  }
  const answer = await run(core, { ...options, work, timeoutMs, timedOut })
  if (answer.kind !== 'rows') throw failureOf(answer, place)
  for (const [index, { durationMs }] of answer.results.entries()) {
    core.slow.readTook(database, statements[index]?.sql ?? '', durationMs)
  }
  return answer
}

/** Copies a database in a process of its own, at what this node has applied. */
export async function copyIsolated(
  core: NodeCore,
  target: string,
  options: IsolatedOptions,
): Promise<DatabaseCopy> {
  const path = checkTarget(core, target)
  const applied = core.shared.applied()
  return copyDatabase((call) => run(core, call), path, applied, options)
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT for a path that a copy can't have. */
export function checkTarget(core: NodeCore, target: unknown): string {
  if (typeof target !== 'string' || target === '' || target.includes('\0')) {
    throw invalid('copyTo takes the path of a file that is not there yet')
  }
  const path = resolve(target)
  if (path.startsWith(core.config.dataDir + sep)) {
    throw invalid(`${path} is in the data directory of this node, which is its own`)
  }
  checkCopyTarget(path)
  return path
}

async function run(core: NodeCore, call: IsolatedCall): Promise<ReaderAnswer> {
  const answer = await core.processes.run(call)
  // Files that were found to differ meanwhile answer nothing.
  void core.readers
  return answer
}
