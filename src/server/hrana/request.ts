import { invalid, tooLarge } from './failure.ts'
import type { HranaLimits } from './limits.ts'
import { type BoundValue, decodeValue } from './value.ts'

/** SQL as text, or the number that it was stored under. */
export type SqlSource = string | number

export interface StatementRequest {
  readonly sql: SqlSource
  readonly args: readonly BoundValue[] | Readonly<Record<string, BoundValue>>
  readonly wantRows: boolean
}

/** When a step runs, by what became of steps before it. */
export type Condition =
  | { readonly type: 'ok' | 'error'; readonly step: number }
  | { readonly type: 'not'; readonly cond: Condition }
  | { readonly type: 'and' | 'or'; readonly conds: readonly Condition[] }
  | { readonly type: 'is_autocommit' }

export interface Step {
  readonly condition: Condition | null
  readonly statement: StatementRequest
}

export type StreamRequest =
  | { readonly type: 'close' | 'get_autocommit' }
  | { readonly type: 'execute'; readonly statement: StatementRequest }
  | { readonly type: 'batch'; readonly steps: readonly Step[] }
  | { readonly type: 'sequence' | 'describe'; readonly sql: SqlSource }
  | { readonly type: 'store_sql'; readonly id: number; readonly sql: string }
  | { readonly type: 'close_sql'; readonly id: number }

export interface PipelineBody {
  readonly baton: string | null
  readonly requests: readonly StreamRequest[]
}

export interface CursorBody {
  readonly baton: string | null
  readonly steps: readonly Step[]
}

type Fields = Readonly<Record<string, unknown>>

/**
 * Reads bodies whole before anything of them runs, so that a malformed one has done nothing. Every
 * method throws ERR_INVALID_ARGUMENT with the place of what is wrong, or ERR_TOO_LARGE.
 */
export class BodyDecoder {
  readonly #limits: HranaLimits
  readonly #version: number

  constructor(limits: HranaLimits, version: number) {
    this.#limits = limits
    this.#version = version
  }

  pipeline(body: unknown): PipelineBody {
    const { baton, requests } = toFields(body, 'the body')
    const list = toArray(requests, 'requests')
    checkCount(list, this.#limits.pipelineRequestsMax, 'requests')
    return {
      baton: toBaton(baton),
      requests: list.map((request, index) => this.#request(request, `requests[${index}]`)),
    }
  }

  cursor(body: unknown): CursorBody {
    const { baton, batch } = toFields(body, 'the body')
    return { baton: toBaton(baton), steps: this.#steps(batch, 'batch') }
  }

  #request(input: unknown, where: string): StreamRequest {
    const fields = toFields(input, where)
    const { type } = fields
    switch (type) {
      case 'close':
        return { type }
      case 'execute':
        return { type, statement: toStatement(fields['stmt'], `${where}.stmt`) }
      case 'batch':
        return { type, steps: this.#steps(fields['batch'], `${where}.batch`) }
      case 'sequence':
      case 'describe':
        return { type, sql: toSqlSource(fields, where) }
      case 'store_sql':
        return {
          type,
          id: toId(fields['sql_id'], `${where}.sql_id`),
          sql: toText(fields['sql'], `${where}.sql`),
        }
      case 'close_sql':
        return { type, id: toId(fields['sql_id'], `${where}.sql_id`) }
      case 'get_autocommit':
        this.#needVersion3(where, type)
        return { type }
      default:
        throw invalid(
          `${where}.type is ${shown(type)}, which is no request: close, execute, batch, ` +
            'sequence, describe, store_sql, close_sql and get_autocommit are',
        )
    }
  }

  #steps(input: unknown, where: string): readonly Step[] {
    const list = toArray(toFields(input, where)['steps'], `${where}.steps`)
    checkCount(list, this.#limits.batchStepsMax, `${where}.steps`)
    return list.map((step, index) => this.#step(step, index, `${where}.steps[${index}]`))
  }

  #step(input: unknown, index: number, where: string): Step {
    const { condition, stmt } = toFields(input, where)
    return {
      condition: isAbsent(condition)
        ? null
        : this.#condition(condition, index, `${where}.condition`, 1),
      statement: toStatement(stmt, `${where}.stmt`),
    }
  }

  #condition(input: unknown, ownStep: number, where: string, depth: number): Condition {
    const { conditionDepthMax } = this.#limits
    if (depth > conditionDepthMax) {
      throw tooLarge(`${where} is deeper than ${conditionDepthMax} conditions in each other`)
    }
    const { type, step, cond, conds } = toFields(input, where)
    switch (type) {
      case 'ok':
      case 'error':
        return { type, step: toEarlierStep(step, ownStep, `${where}.step`) }
      case 'not':
        return { type, cond: this.#condition(cond, ownStep, `${where}.cond`, depth + 1) }
      case 'and':
      case 'or':
        return {
          type,
          conds: toArray(conds, `${where}.conds`).map((each, index) =>
            this.#condition(each, ownStep, `${where}.conds[${index}]`, depth + 1),
          ),
        }
      case 'is_autocommit':
        this.#needVersion3(where, type)
        return { type }
      default:
        throw invalid(
          `${where}.type is ${shown(type)}, which is no condition: ok, error, not, and, or and ` +
            'is_autocommit are',
        )
    }
  }

  #needVersion3(where: string, what: string): void {
    if (this.#version >= 3) return
    throw invalid(`${where}: ${what} came with version 3 of the protocol: send it to /v3`)
  }
}

function toStatement(input: unknown, where: string): StatementRequest {
  const fields = toFields(input, where)
  const { args, named_args: namedArgs, want_rows: wantRows } = fields
  const list = isAbsent(args) ? [] : toArray(args, `${where}.args`)
  const named = isAbsent(namedArgs) ? [] : toArray(namedArgs, `${where}.named_args`)
  if (list.length > 0 && named.length > 0) {
    throw invalid(`${where} has args and named_args: a statement takes one of the two`)
  }
  if (!isAbsent(wantRows) && typeof wantRows !== 'boolean') {
    throw invalid(`${where}.want_rows is ${shown(wantRows)}; it can be true or false`)
  }
  const sql = toSqlSource(fields, where)
  if (named.length === 0) {
    const values = list.map((value, index) => toValue(value, `${where}.args[${index}]`))
    return { sql, args: values, wantRows: wantRows !== false }
  }
  const entries = named.map((arg, index) => toNamedArg(arg, `${where}.named_args[${index}]`))
  return { sql, args: Object.fromEntries(entries), wantRows: wantRows !== false }
}

function toNamedArg(input: unknown, where: string): [string, BoundValue] {
  const { name, value } = toFields(input, where)
  return [toText(name, `${where}.name`), toValue(value, `${where}.value`)]
}

function toValue(input: unknown, where: string): BoundValue {
  return decodeValue(toFields(input, where), where)
}

function toSqlSource({ sql, sql_id: sqlId }: Fields, where: string): SqlSource {
  if (isAbsent(sql) === isAbsent(sqlId)) {
    throw invalid(`${where} needs either sql or sql_id`)
  }
  return isAbsent(sql) ? toId(sqlId, `${where}.sql_id`) : toText(sql, `${where}.sql`)
}

function toEarlierStep(input: unknown, ownStep: number, where: string): number {
  const step = toId(input, where)
  if (step >= 0 && step < ownStep) return step
  throw invalid(`${where} is ${step}, which is no step before this one`)
}

function toBaton(input: unknown): string | null {
  return isAbsent(input) ? null : toText(input, 'baton')
}

function toId(input: unknown, where: string): number {
  if (Number.isInteger(input) && Math.abs(input as number) <= 2 ** 31) return input as number
  throw invalid(`${where} is ${shown(input)}; it must be a whole number of 32 bits`)
}

function toText(input: unknown, where: string): string {
  if (typeof input === 'string') return input
  throw invalid(`${where} is ${shown(input)}; it must be text`)
}

function toArray(input: unknown, where: string): readonly unknown[] {
  if (Array.isArray(input)) return input
  throw invalid(`${where} is ${shown(input)}; it must be a list`)
}

function toFields(input: unknown, where: string): Fields {
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) return input as Fields
  throw invalid(`${where} is ${shown(input)}; it must be an object`)
}

function checkCount(list: readonly unknown[], countMax: number, where: string): void {
  if (list.length <= countMax) return
  throw tooLarge(`${where} has ${list.length} entries, at most ${countMax} are taken: split it`)
}

function isAbsent(input: unknown): boolean {
  return input === undefined || input === null
}

/** Short, whatever a stranger sent. */
function shown(input: unknown): string {
  if (input === undefined) return 'missing'
  const text = typeof input === 'object' ? null : JSON.stringify(input)
  if (text === null) return input === null ? 'null' : Array.isArray(input) ? 'a list' : 'an object'
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
