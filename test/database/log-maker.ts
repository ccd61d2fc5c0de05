import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import {
  type CommandResult,
  decodeCommandResult,
  encodeDropDatabase,
  encodeMemberRecords,
  encodeRegisterOrigin,
  type LeaseRequest,
  leaseUnit,
  type MemberRecord,
  patchEnvironment,
  type SqlValue,
  type Statement,
  type Unit,
  WriteEncoder,
} from '../../src/command/command.ts'
import { type Genesis, type GroupOutcome, Replica } from '../../src/database/database.ts'
import type { ReplicaOptions } from '../../src/database/replica.ts'
import { type ConfChange, type Entry, encodeConfChange } from '../../src/raft/raft.ts'
import { hashContent, Reader } from '../../src/sqlite/sqlite.ts'

export const ORIGIN = '0123456789abcdef0123456789abcdef'
export const OTHER = 'fedcba9876543210fedcba9876543210'

export const MEMBER: MemberRecord = {
  memberId: 1,
  nodeId: 'one',
  address: '127.0.0.1:1',
  wantedRole: 'voter',
}

export const GENESIS: Genesis = {
  index: 1,
  term: 1,
  confState: {
    voters: [1, 2],
    learners: [],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  },
  members: [MEMBER, { ...MEMBER, memberId: 2, nodeId: 'two' }],
  clusterId: 'c'.repeat(32),
}

export function makeDirectory(context: TestContext): string {
  const directory = fs.mkdtempSync(join(tmpdir(), 'colmena-database-'))
  context.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** A statement, or a unit of several. */
export type UnitInput = string | readonly [string, ...SqlValue[]] | readonly Statement[] | Unit

function toUnit(unit: UnitInput): Unit {
  if (typeof unit === 'string') return { statements: [{ sql: unit, args: [] }] }
  if ('statements' in unit) return unit
  if (typeof unit[0] === 'object') return { statements: unit as readonly Statement[] }
  const [sql, ...args] = unit as readonly [string, ...SqlValue[]]
  return { statements: [{ sql, args }] }
}

/** Makes the entries of one log, from index 2 on, with each origin's sequences in order. */
export class LogMaker {
  readonly entries: Entry[] = []
  readonly #sequences = new Map<string, number>()
  wallMs: number = 1_700_000_000_000
  /** What the next writes ask of their databases. */
  doubleQuotedStrings: boolean | undefined
  /** The token that the next writes need. */
  fence: number | undefined
  changes: boolean | undefined

  get lastIndex(): number {
    return this.entries.length + 1
  }

  push(data: Uint8Array, type: Entry['type'] = 'normal'): Entry {
    const entry = { index: this.lastIndex + 1, term: 1, type, data }
    this.entries.push(entry)
    return entry
  }

  empty(): Entry {
    return this.push(new Uint8Array(0))
  }

  register(
    memberId: number = 1,
    origin: string = ORIGIN,
    previous: string = '',
    fingerprint: string = 'one',
    formatMax = 1,
  ): Entry {
    const open = { memberId, origin, previous, fingerprint, formatMax }
    return this.push(encodeRegisterOrigin(open))
  }

  change(change: Omit<ConfChange, 'context'>, records: readonly MemberRecord[] = []): Entry {
    const bytes = encodeConfChange({ ...change, context: encodeMemberRecords(records) })
    return this.push(bytes, 'confChangeV2')
  }

  drop(database: string, request: number, origin: string = ORIGIN): Entry {
    return this.push(encodeDropDatabase({ origin, database, request }))
  }

  /** One command of several units with the next sequence. */
  write(database: string, units: readonly UnitInput[], origin: string = ORIGIN): Entry {
    const key = `${origin}:${database}`
    const sequence = (this.#sequences.get(key) ?? 0) + 1
    this.#sequences.set(key, sequence)
    return this.writeAt(sequence, database, units, origin)
  }

  /** Requests to the cluster's own database. */
  leases(requests: readonly LeaseRequest[], origin: string = ORIGIN): Entry {
    return this.write('system', requests.map(leaseUnit), origin)
  }

  writeAt(
    sequence: number,
    database: string,
    units: readonly UnitInput[],
    origin: string = ORIGIN,
  ): Entry {
    const encoder = new WriteEncoder()
    for (const unit of units) encoder.add(toUnit(unit))
    const { doubleQuotedStrings, changes, fence } = this
    const kind = database === 'system' ? 'leases' : 'write'
    const settings = { doubleQuotedStrings, changes }
    const header = { kind, origin, database, sequence, ...settings } as const
    const bytes = encoder.finish(header, { fence: kind === 'write' ? fence : undefined })
    this.wallMs += 7
    const seedLow = this.lastIndex
    patchEnvironment(bytes, { wallMs: this.wallMs, seedHigh: 42, seedLow })
    return this.push(bytes)
  }

  after(index: number): readonly Entry[] {
    return this.entries.slice(index - 1)
  }
}

export function optionsFor(directory: string, more: Partial<ReplicaOptions> = {}): ReplicaOptions {
  return { directory, generation: 1, ownOrigin: ORIGIN, ...more }
}

export function createReplica(
  context: TestContext,
  more: Partial<ReplicaOptions> = {},
): { directory: string; replica: Replica } {
  const directory = makeDirectory(context)
  const replica = Replica.create(optionsFor(directory, more), GENESIS)
  context.after(() => replica.close())
  return { directory, replica }
}

/** Applies all that the replica lacks of the log, in groups of the given sizes. */
export function applyAll(
  replica: Replica,
  log: LogMaker,
  sizes: readonly number[] = [],
): CommandResult[] {
  const results: CommandResult[] = []
  for (let turn = 0; replica.appliedIndex < log.lastIndex; turn += 1) {
    const size = sizes.length > 0 ? (sizes[turn % sizes.length] as number) : Number.MAX_SAFE_INTEGER
    results.push(...resultsOf(replica.apply(log.after(replica.appliedIndex).slice(0, size))))
  }
  return results
}

export function resultsOf(outcome: GroupOutcome): CommandResult[] {
  if (outcome.halted !== null) throw outcome.halted.error
  return outcome.results.map(({ bytes }) => decodeCommandResult(bytes))
}

export function databasePath(directory: string, name: string, generation: number = 1): string {
  return join(directory, String(generation), `${name}.db`)
}

export function readRows(directory: string, name: string, sql: string): unknown[] {
  const reader = new Reader(databasePath(directory, name))
  try {
    return reader.internal(() => reader.own(sql).all())
  } finally {
    reader.close()
  }
}

export function contentOf(directory: string, name: string): string {
  const reader = new Reader(databasePath(directory, name))
  try {
    return hashContent(reader)
  } finally {
    reader.close()
  }
}
