import { ByteReader, ByteWriter } from '../base/bytes.ts'
import { ColmenaError } from '../base/errors.ts'
import { readUnitResults, type UnitResult, writeUnitResults } from './result.ts'
import type { Environment } from './write.ts'

/** A statement as the leader tried it. */
export interface TriedStatement {
  /** It only read: apply must not run it, and it has its own random numbers. */
  readonly isLook: boolean
  readonly result: UnitResult
}

/** What the leader answers to a step of a transaction that it tries. */
export interface TrialAnswer {
  /** The index of the last write to the database that the trial sees. */
  readonly base: number
  /** What time and chance the trial has: apply must have the same. */
  readonly environment: Environment
  /** One for each statement, up to the first that failed. */
  readonly tried: readonly TriedStatement[]
}

/** Members of one version only try each other's transactions, so this encoding has none. */
export function encodeTrialAnswer(answer: TrialAnswer): Uint8Array<ArrayBuffer> {
  const { wallMs, seedHigh, seedLow } = answer.environment
  const writer = new ByteWriter(256)
  writer.u53(answer.base).u53(wallMs).u32(seedHigh).u32(seedLow)
  writeUnitResults(
    writer,
    answer.tried.map(({ result }) => result),
  )
  for (const { isLook } of answer.tried) writer.flag(isLook)
  return writer.finish()
}

/** @throws DecodeError */
export function decodeTrialAnswer(bytes: Uint8Array): TrialAnswer {
  const reader = new ByteReader(bytes)
  const base = reader.u53()
  const environment = { wallMs: reader.u53(), seedHigh: reader.u32(), seedLow: reader.u32() }
  const results = readUnitResults(reader)
  const tried = results.map((result) => ({ result, isLook: reader.flag() }))
  reader.end()
  return { base, environment, tried }
}

/** What its caller is told of a transaction that can't go on, wherever that was noticed. */
export function transactionEnded(why: string, cause?: unknown): ColmenaError {
  const message = `the transaction was ended: ${why}. Nothing of it was applied; begin it again`
  return new ColmenaError('ERR_TX_ABORTED', message, { retryable: true, cause })
}
