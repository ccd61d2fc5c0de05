import { DecodeError } from '../base/bytes.ts'
import type { StatementResult, UnitResult } from './result.ts'
import type { SqlValue } from './value.ts'
import type { Unit } from './write.ts'

/** What a lease is for; each purpose has keys of its own. */
export type LeasePurpose = 'lock' | 'once'

/** What a command of kind `leases` asks, one request a unit. */
export type LeaseRequest =
  | {
      readonly what: 'acquire'
      readonly purpose: LeasePurpose
      readonly key: string
      readonly ttlMs: number
    }
  | { readonly what: 'renew'; readonly token: number; readonly ttlMs: number }
  | { readonly what: 'release'; readonly token: number }
  /** Releases the lease, and keeps what came of its work under its key for a while. */
  | {
      readonly what: 'finish'
      readonly token: number
      readonly isFailure: boolean
      readonly result: Uint8Array
      readonly keepMs: number
    }

export type LeaseAnswer =
  /** Acquired or renewed. Tokens rise with each acquisition in the cluster. */
  | { readonly what: 'held'; readonly token: number }
  | {
      readonly what: 'busy'
      /** Of the one that holds it; '' for a node that is gone. */
      readonly nodeId: string
      /** Until it ends unless it is renewed, by the time of the entry. */
      readonly leftMs: number
    }
  /** Somebody did the work before. */
  | { readonly what: 'kept'; readonly isFailure: boolean; readonly result: Uint8Array }
  /** Released, with its work finished or not. */
  | { readonly what: 'released' }
  /** The lease had ended before. */
  | { readonly what: 'ended' }

const NUMBER_MAX = BigInt(Number.MAX_SAFE_INTEGER)
const PURPOSES: readonly SqlValue[] = ['lock', 'once']

/** A request as a unit of its command, whose statement has the request's word in place of SQL. */
export function leaseUnit(request: LeaseRequest): Unit {
  return { statements: [{ sql: request.what, args: argsOf(request) }] }
}

/** @throws DecodeError for a unit that is no request. */
export function leaseRequest({ statements: [statement] }: Unit): LeaseRequest {
  const args = statement?.args as readonly SqlValue[]
  switch (statement?.sql) {
    case 'acquire': {
      const purpose = args[0] ?? null
      if (!PURPOSES.includes(purpose)) break
      const key = textOf(args[1])
      return { what: 'acquire', purpose: purpose as LeasePurpose, key, ttlMs: numberOf(args[2]) }
    }
    case 'renew':
      return { what: 'renew', token: numberOf(args[0]), ttlMs: numberOf(args[1]) }
    case 'release':
      return { what: 'release', token: numberOf(args[0]) }
    case 'finish': {
      const result = args[2]
      if (!(result instanceof Uint8Array)) break
      const kept = { isFailure: numberOf(args[1]) === 1, result, keepMs: numberOf(args[3]) }
      return { what: 'finish', token: numberOf(args[0]), ...kept }
    }
  }
  throw new DecodeError('a unit that asks nothing of a lease')
}

function argsOf(request: LeaseRequest): readonly SqlValue[] {
  switch (request.what) {
    case 'acquire':
      return [request.purpose, request.key, BigInt(request.ttlMs)]
    case 'renew':
      return [BigInt(request.token), BigInt(request.ttlMs)]
    case 'release':
      return [BigInt(request.token)]
    case 'finish': {
      const { token, isFailure, result, keepMs } = request
      return [BigInt(token), isFailure ? 1n : 0n, result, BigInt(keepMs)]
    }
  }
}

/** An answer in the shape of any unit's, to travel with them. */
export function leaseResult(answer: LeaseAnswer): UnitResult {
  const row = rowOf(answer)
  const columns = row.map((_, at) => (at === 0 ? 'what' : ''))
  const columnTypes = row.map(() => '')
  const rows = { columns, columnTypes, rows: [row], rowsAffected: 0, lastInsertRowid: null }
  return { ok: true, statements: [rows] }
}

/** @throws DecodeError */
export function leaseAnswer(result: StatementResult | undefined): LeaseAnswer {
  const [what, first, second] = result?.rows[0] ?? []
  switch (what) {
    case 'held':
      return { what, token: numberOf(first) }
    case 'busy':
      return { what, nodeId: textOf(first), leftMs: numberOf(second) }
    case 'kept':
      if (!(second instanceof Uint8Array)) break
      return { what, isFailure: numberOf(first) === 1, result: second }
    case 'released':
    case 'ended':
      return { what }
  }
  throw new DecodeError('not what a lease answers')
}

function rowOf(answer: LeaseAnswer): readonly SqlValue[] {
  switch (answer.what) {
    case 'held':
      return ['held', BigInt(answer.token)]
    case 'busy':
      return ['busy', answer.nodeId, BigInt(answer.leftMs)]
    case 'kept':
      return ['kept', answer.isFailure ? 1n : 0n, answer.result]
    default:
      return [answer.what]
  }
}

function numberOf(value: SqlValue | undefined): number {
  if (typeof value === 'bigint' && value >= 0n && value <= NUMBER_MAX) return Number(value)
  throw new DecodeError('a request of a lease without its number')
}

function textOf(value: SqlValue | undefined): string {
  if (typeof value === 'string') return value
  throw new DecodeError('a request of a lease without its key')
}
