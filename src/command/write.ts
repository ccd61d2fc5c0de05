import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts'
import { readEnvelope, unsupportedFormat, writeEnvelope } from './envelope.ts'
import { isSequenced, type SequencedKind } from './kind.ts'
import { type MigrationStamp, readStamp, writeStamp } from './migration-stamp.ts'
import { readValue, type SqlValue, writeValue } from './value.ts'

/** Arguments of one statement: by position, or by name without the `:`, `@` or `$` before it. */
export type StatementArgs = readonly SqlValue[] | ReadonlyMap<string, SqlValue>

export interface Statement {
  readonly sql: string
  readonly args: StatementArgs
}

/** Statements that succeed or fail together; units of one command don't touch each other. */
export interface Unit {
  readonly statements: readonly Statement[]
  /** Its statements run without foreign keys, which must all hold at its end. */
  readonly foreignKeysOff?: boolean | undefined
  /** With foreign keys off, they need not hold at its end either: it is a part of something. */
  readonly foreignKeysUnchecked?: boolean | undefined
  /** It runs once in the life of its database, without foreign keys. */
  readonly migration?: MigrationStamp | undefined
  /** It has no statements, and its command no other unit: the file is rewritten without gaps. */
  readonly compacts?: boolean | undefined
}

/** What a command does that compacts its database. */
export const COMPACTION: Unit = Object.freeze({ statements: [], compacts: true })

export function isCompaction({ units }: Pick<WriteCommand, 'units'>): boolean {
  return units[0]?.compacts === true
}

/** What the leader freezes when it proposes, so that every node computes the same. */
export interface Environment {
  /** Milliseconds since 1970. */
  readonly wallMs: number
  /** 64 random bits, as two u32. */
  readonly seedHigh: number
  readonly seedLow: number
}

/** Where a command stands in its origin's sequence for one database. */
export interface WriteHeader {
  /** Whether its units are statements, as they are if not said, or requests for leases. */
  readonly kind?: SequencedKind | undefined
  /** 32 hexadecimal digits. */
  readonly origin: string
  readonly database: string
  /**
   * 1 for the first; a command applies only if it is the origin's last applied + 1. A transaction
   * that was tried has the number that its origin gave it, and stands in no sequence.
   */
  readonly sequence: number
  /**
   * Whether the database must take "text" that names no column for a string; undefined takes it as
   * it is. The command that makes the database decides.
   */
  readonly doubleQuotedStrings?: boolean | undefined
  /** Whether `random()`, 'now' and their like fail instead of being frozen: as its sender asked. */
  readonly rejectsNonDeterminism?: boolean | undefined
  /** Whether all nodes must keep the rows that change in the database; as above. */
  readonly changes?: boolean | undefined
}

/** What those see who only route a command. */
export interface RoutedWrite extends WriteHeader {
  readonly kind: SequencedKind
  readonly environment: Environment
  readonly isTried: boolean
  readonly isFenced: boolean
}

/**
 * What an interactive transaction came to when it was tried on the leader. Apply runs its one unit
 * only on the very state that the trial saw, and only to the same end, so that proposing it again
 * is safe.
 */
export interface Trial {
  /** The index of the last write to the database that the trial saw. */
  readonly base: number
  /** The rows that each statement changed; null for one that failed. */
  readonly outcomes: readonly (number | null)[]
}

export interface WriteCommand extends WriteHeader {
  readonly environment: Environment
  /** None: an empty command, which only fills its place in the sequence. */
  readonly units: readonly Unit[]
  /** Of a transaction that was tried, which has one unit. */
  readonly trial?: Trial | undefined
  /** The token of a lease without which nothing of it may apply. */
  readonly fence?: number | undefined
}

/*
 * Layout, little-endian: envelope (4), flags u32, wallMs u53, seed 2 × u32, origin 16 bytes,
 * sequence u53, database text, then each different SQL text once, then the units, then the trial
 * where there was one, then the fence where there is one. Everything that the leader writes lies at
 * a fixed place, so that it patches the origin's bytes and no one encodes them again.
 */
const ENVIRONMENT_AT = 8
/** Flags of a unit; the others come with the first alone. Their places are on disk. */
const FOREIGN_KEYS_OFF = 1
const FOREIGN_KEYS_UNCHECKED = 2
const MIGRATION = 4
const COMPACTS = 8
const UNIT_FLAGS = [
  0,
  FOREIGN_KEYS_OFF,
  FOREIGN_KEYS_OFF | FOREIGN_KEYS_UNCHECKED,
  FOREIGN_KEYS_OFF | MIGRATION,
  COMPACTS,
]
const ARGS_POSITIONAL = 0
const ARGS_NAMED = 1
/** What a command's flags say of a setting that it asks for. Their places are on disk. */
const ASKED = [undefined, false, true]
const ASKED_BITS = 0b11
const TRIED = 0b100
/** Settings have two bits each: those of double-quoted strings here, those of changes there. */
const CHANGES_SHIFT = 5
const REJECTS_NON_DETERMINISM = 0b1000
const FENCED = 0b10000
const KNOWN_FLAGS =
  ASKED_BITS | TRIED | REJECTS_NON_DETERMINISM | FENCED | (ASKED_BITS << CHANGES_SHIFT)

/** What a write command may have besides its units. */
export type WriteParts = Pick<WriteCommand, 'trial' | 'fence'>

/** Gathers independent units of one origin and database into one command. */
export class WriteEncoder {
  readonly #units = new ByteWriter(512)
  readonly #sqlIndexes = new Map<string, number>()
  #sqlBytes = 0
  #unitCount = 0

  get unitCount(): number {
    return this.#unitCount
  }

  /** The size so far, in bytes, a little under what {@link finish} returns. */
  get sizeBytes(): number {
    return this.#units.length + this.#sqlBytes
  }

  add(unit: Unit): void {
    const writer = this.#units
    writer.u16(flagsOf(unit)).u32(unit.statements.length)
    if (unit.migration !== undefined) writeStamp(writer, unit.migration)
    for (const { sql, args } of unit.statements) {
      writer.u32(this.#sqlIndex(sql))
      if (args instanceof Map) {
        writer.u8(ARGS_NAMED).u16(args.size)
        for (const [name, value] of args) writeValue(writer.text(name), value)
      } else {
        const values = args as readonly SqlValue[]
        writer.u8(ARGS_POSITIONAL).u16(values.length)
        for (const value of values) writeValue(writer, value)
      }
    }
    this.#unitCount += 1
  }

  finish(header: WriteHeader, { trial, fence }: WriteParts = {}): Uint8Array<ArrayBuffer> {
    const writer = new ByteWriter(128 + this.sizeBytes)
    writeEnvelope(writer, header.kind ?? 'write')
    writer.u32(flagsOfCommand(header, { trial, fence })).u53(0).u32(0).u32(0)
    writer.raw(originBytes(header.origin)).u53(header.sequence).text(header.database)
    writer.u32(this.#sqlIndexes.size)
    for (const sql of this.#sqlIndexes.keys()) writer.text(sql)
    writer.u32(this.#unitCount).drain(this.#units)
    if (trial !== undefined) writeTrial(writer, trial)
    if (fence !== undefined) writer.u53(fence)
    return writer.finish()
  }

  #sqlIndex(sql: string): number {
    let index = this.#sqlIndexes.get(sql)
    if (index === undefined) {
      index = this.#sqlIndexes.size
      this.#sqlIndexes.set(sql, index)
      this.#sqlBytes += sql.length + 4
    }
    return index
  }
}

/** An empty command: it keeps its slot in the sequence when its callers gave up. */
export function encodeEmptyWrite(header: WriteHeader): Uint8Array<ArrayBuffer> {
  return new WriteEncoder().finish(header)
}

/** Writes the leader's environment into an encoded write command, in place. */
export function patchEnvironment(bytes: Uint8Array, environment: Environment): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  view.setUint32(ENVIRONMENT_AT, environment.wallMs >>> 0, true)
  view.setUint32(ENVIRONMENT_AT + 4, Math.floor(environment.wallMs / 0x1_0000_0000), true)
  view.setUint32(ENVIRONMENT_AT + 8, environment.seedHigh, true)
  view.setUint32(ENVIRONMENT_AT + 12, environment.seedLow, true)
}

/** When an encoded write command was proposed, in milliseconds since 1970. @throws DecodeError */
export function writeTimeMs(bytes: Uint8Array): number {
  const reader = new ByteReader(bytes)
  reader.raw(ENVIRONMENT_AT)
  return reader.u53()
}

/** The header and environment alone, for those who only route the command. */
export function decodeWriteHeader(bytes: Uint8Array): RoutedWrite {
  return readWriteHeader(new ByteReader(bytes))
}

/**
 * @throws DecodeError for bytes that are no write command.
 * @throws ColmenaError ERR_UNSUPPORTED_FORMAT for one of a newer format.
 */
export function decodeWrite(bytes: Uint8Array): WriteCommand {
  const reader = new ByteReader(bytes)
  const { isTried, isFenced, ...header } = readWriteHeader(reader)
  const sqls: string[] = []
  for (let left = reader.count(4); left > 0; left -= 1) sqls.push(reader.text())
  const units: Unit[] = []
  for (let left = reader.count(6); left > 0; left -= 1) units.push(readUnit(reader, sqls))
  const trial = isTried ? { trial: readTrial(reader, units) } : null
  const fence = isFenced ? { fence: reader.u53() } : null
  reader.end()
  const compacted = units.find(({ compacts }) => compacts)
  if (compacted !== undefined && units.length + compacted.statements.length > 1) {
    throw new DecodeError('a compaction beside something else')
  }
  return { ...header, units, ...trial, ...fence }
}

function writeTrial(writer: ByteWriter, { base, outcomes }: Trial): void {
  writer.u53(base).u32(outcomes.length)
  for (const changed of outcomes) {
    writer.flag(changed !== null)
    if (changed !== null) writer.u53(changed)
  }
}

function readTrial(reader: ByteReader, units: readonly Unit[]): Trial {
  const base = reader.u53()
  const outcomes: (number | null)[] = []
  for (let left = reader.count(1); left > 0; left -= 1) {
    outcomes.push(reader.flag() ? reader.u53() : null)
  }
  if (units.length !== 1 || units[0]?.statements.length !== outcomes.length) {
    throw new DecodeError('a trial that speaks of other statements than its command')
  }
  return { base, outcomes }
}

function readWriteHeader(reader: ByteReader): RoutedWrite {
  const kind = readEnvelope(reader)
  if (!isSequenced(kind)) throw unsupportedFormat(`${kind} command where a write belongs`)
  const flags = reader.u32()
  const strings = flags & ASKED_BITS
  const changes = (flags >>> CHANGES_SHIFT) & ASKED_BITS
  if ((flags & ~KNOWN_FLAGS) !== 0 || strings >= ASKED.length || changes >= ASKED.length) {
    throw unsupportedFormat(`write command with flags ${flags}`)
  }
  const settings = { doubleQuotedStrings: ASKED[strings], changes: ASKED[changes] }
  const environment = { wallMs: reader.u53(), seedHigh: reader.u32(), seedLow: reader.u32() }
  const origin = originText(reader.raw(16))
  const sequence = reader.u53()
  const parts = { isTried: (flags & TRIED) !== 0, isFenced: (flags & FENCED) !== 0 }
  const database = reader.text()
  const header = { kind, environment, origin, sequence, database, ...settings, ...parts }
  return (flags & REJECTS_NON_DETERMINISM) === 0
    ? header
    : { ...header, rejectsNonDeterminism: true }
}

function flagsOfCommand(header: WriteHeader, { trial, fence }: WriteParts): number {
  const strings = ASKED.indexOf(header.doubleQuotedStrings)
  const changes = ASKED.indexOf(header.changes) << CHANGES_SHIFT
  const parts = (trial === undefined ? 0 : TRIED) | (fence === undefined ? 0 : FENCED)
  const rejects = header.rejectsNonDeterminism ? REJECTS_NON_DETERMINISM : 0
  return strings | changes | parts | rejects
}

function readUnit(reader: ByteReader, sqls: readonly string[]): Unit {
  const flags = reader.u16()
  if (!UNIT_FLAGS.includes(flags)) throw unsupportedFormat(`unit with flags ${flags}`)
  const statements: Statement[] = []
  let left = reader.count(7)
  const migration = (flags & MIGRATION) === 0 ? undefined : readStamp(reader)
  for (; left > 0; left -= 1) {
    const sql = sqls[reader.u32()]
    if (sql === undefined) throw unsupportedFormat('statement without its SQL')
    statements.push({ sql, args: readArgs(reader) })
  }
  if (flags === 0) return { statements }
  if (flags === COMPACTS) return { statements, compacts: true }
  if (migration !== undefined) return { statements, foreignKeysOff: true, migration }
  if ((flags & FOREIGN_KEYS_UNCHECKED) === 0) return { statements, foreignKeysOff: true }
  return { statements, foreignKeysOff: true, foreignKeysUnchecked: true }
}

function flagsOf({ foreignKeysOff, foreignKeysUnchecked, migration, compacts }: Unit): number {
  if (compacts) return COMPACTS
  if (migration !== undefined) return FOREIGN_KEYS_OFF | MIGRATION
  if (!foreignKeysOff) return 0
  return foreignKeysUnchecked ? FOREIGN_KEYS_OFF | FOREIGN_KEYS_UNCHECKED : FOREIGN_KEYS_OFF
}

function readArgs(reader: ByteReader): StatementArgs {
  const kind = reader.u8()
  const count = reader.u16()
  if (kind === ARGS_NAMED) {
    const named = new Map<string, SqlValue>()
    for (let i = 0; i < count; i += 1) named.set(reader.text(), readValue(reader))
    return named
  }
  const values: SqlValue[] = []
  for (let i = 0; i < count; i += 1) values.push(readValue(reader))
  return values
}

export function originBytes(origin: string): Uint8Array {
  return Buffer.from(origin, 'hex')
}

export function originText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}
