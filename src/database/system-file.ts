import { ColmenaError } from '../base/errors.ts'
import {
  COMMAND_FORMAT,
  COMMAND_FORMAT_MIN,
  type MemberRecord,
  type RegisterOrigin,
} from '../command/command.ts'
import { isMember } from '../raft/raft.ts'
import type { ConfState } from '../raft/types.ts'
import {
  type ConnectionSettings,
  DATABASE_LIMITS,
  type DatabaseLimits,
  type Writer,
} from '../sqlite/sqlite.ts'
import { decodeConfState, encodeConfState } from './conf-state.ts'
import { DatabaseFile, type FileBirth } from './database-file.ts'
import { SYSTEM } from './generation.ts'
import { CREATE_LEASES, Leases } from './leases.ts'
import { readLimits } from './settings.ts'
import { checkFormat, newerFormat, PUT_FORMAT } from './state-format.ts'
import { guardOwn } from './trouble.ts'

const CREATE = [
  `CREATE TABLE IF NOT EXISTS _colmena_conf (
    id INTEGER PRIMARY KEY CHECK (id = 1), cluster TEXT NOT NULL, conf_index INTEGER NOT NULL,
    conf_state BLOB NOT NULL, format INTEGER NOT NULL) STRICT`,
  `CREATE TABLE IF NOT EXISTS _colmena_members (
    member_id INTEGER PRIMARY KEY, node_id TEXT NOT NULL, address TEXT NOT NULL,
    wanted_role TEXT NOT NULL) STRICT`,
  `CREATE TABLE IF NOT EXISTS _colmena_origins (
    origin TEXT PRIMARY KEY, member_id INTEGER NOT NULL, registered_index INTEGER NOT NULL,
    retired_index INTEGER, last_drop INTEGER NOT NULL, fingerprint TEXT NOT NULL,
    format_max INTEGER NOT NULL)
    STRICT, WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS _colmena_databases (
    name TEXT PRIMARY KEY, created_index INTEGER NOT NULL, dropped_index INTEGER,
    double_quoted_strings INTEGER NOT NULL, changes INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS _colmena_saved_sequences (
    name TEXT NOT NULL, origin TEXT NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (name, origin)) STRICT, WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS _colmena_limits (
    name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
]
const HAS_CONF = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_colmena_conf'"
const SELECT_CONF = 'SELECT cluster, conf_index, conf_state, format FROM _colmena_conf'
const PUT_CONF = 'REPLACE INTO _colmena_conf VALUES (1, ?, ?, ?, ?)'
const SELECT_MEMBERS =
  'SELECT member_id, node_id, address, wanted_role FROM _colmena_members ORDER BY member_id'
const PUT_MEMBER = 'REPLACE INTO _colmena_members VALUES (?, ?, ?, ?)'
const DELETE_MEMBER = 'DELETE FROM _colmena_members WHERE member_id = ?'
const SELECT_ORIGINS =
  'SELECT origin, member_id, registered_index, retired_index, last_drop, fingerprint, format_max ' +
  'FROM _colmena_origins'
const PUT_ORIGIN = 'REPLACE INTO _colmena_origins VALUES (?, ?, ?, ?, ?, ?, ?)'
const DELETE_ORIGIN = 'DELETE FROM _colmena_origins WHERE origin = ?'
const SELECT_DATABASES =
  'SELECT name, created_index, dropped_index, double_quoted_strings, changes ' +
  'FROM _colmena_databases ORDER BY name'
const PUT_DATABASE = 'REPLACE INTO _colmena_databases VALUES (?, ?, ?, ?, ?)'
const SELECT_SAVED = 'SELECT name, origin, last FROM _colmena_saved_sequences'
const PUT_SAVED = 'REPLACE INTO _colmena_saved_sequences VALUES (?, ?, ?)'
const PUT_LIMIT = 'INSERT INTO _colmena_limits VALUES (?, ?)'
const DELETE_SAVED = 'DELETE FROM _colmena_saved_sequences WHERE origin = ?'

/** One `open()` of a node. Entries of it count at indexes between the two, both excluded. */
export interface OriginRecord {
  readonly origin: string
  readonly memberId: number
  readonly registeredIndex: number
  readonly retiredIndex: number | null
  /** The highest request number of its dropped databases. */
  readonly lastDrop: number
  /** What that open runs SQL with. */
  readonly fingerprint: string
  /** The newest format that it reads. */
  readonly formatMax: number
}

export interface DatabaseRecord {
  readonly name: string
  readonly createdIndex: number
  /** The last drop; a database made again after it has it null. */
  readonly droppedIndex: number | null
  /** As the command asked that made it. */
  readonly doubleQuotedStrings: boolean
  /** Whether all nodes keep the rows that change in it; as above. */
  readonly changes: boolean
}

type DatabaseRow = [string, bigint, bigint | null, bigint, bigint]

/** What a cluster begins with. */
export interface Genesis {
  readonly index: number
  readonly term: number
  readonly confState: ConfState
  readonly members: readonly MemberRecord[]
  readonly clusterId: string
  /** SQLite's limits on all members for good; what they begin with by default. */
  readonly limits?: DatabaseLimits | undefined
}

const NO_SEQUENCES: ReadonlyMap<string, number> = new Map()

/**
 * The system database: what the cluster knows of itself. The maps here show the open transaction,
 * and are read again from the file when it is rolled back.
 */
export class SystemFile {
  readonly file: DatabaseFile
  readonly leases: Leases
  clusterId = ''
  confIndex = 0
  /** The newest format that commands in the log may have. */
  format: number = COMMAND_FORMAT_MIN
  confState: ConfState = {
    voters: [],
    learners: [],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  }
  readonly members: Map<number, MemberRecord> = new Map()
  readonly origins: Map<string, OriginRecord> = new Map()
  readonly databases: Map<string, DatabaseRecord> = new Map()
  limits: DatabaseLimits = DATABASE_LIMITS
  readonly #saved = new Map<string, Map<string, number>>()

  private constructor(file: DatabaseFile) {
    this.file = file
    this.leases = new Leases(file)
    this.#load()
  }

  static create(writer: Writer, genesis: Genesis): SystemFile {
    const { index, term, clusterId, confState } = genesis
    const birth: FileBirth = { created: index, applied: index, term, sequences: NO_SEQUENCES }
    const file = DatabaseFile.open(SYSTEM, writer, birth)
    guardOwn(writer, writer.path, () => {
      writer.begin()
      for (const sql of [...CREATE, ...CREATE_LEASES, PUT_FORMAT]) writer.own(sql).run()
      writer.own(PUT_CONF).run(clusterId, index, encodeConfState(confState), COMMAND_FORMAT_MIN)
      for (const member of genesis.members) putMember(writer, member)
      for (const [name, value] of Object.entries({ ...DATABASE_LIMITS, ...genesis.limits })) {
        writer.own(PUT_LIMIT).run(name, value)
      }
      writer.commit()
    })
    return new SystemFile(file)
  }

  /** @throws ColmenaError ERR_UNSUPPORTED_FORMAT, ERR_DATA_DIR */
  static open(writer: Writer): SystemFile {
    checkFormat(writer)
    return new SystemFile(DatabaseFile.open(SYSTEM, writer, null))
  }

  /** What all members connect to a database with. */
  settingsOf(name: string): ConnectionSettings {
    const doubleQuotedStrings = this.databases.get(name)?.doubleQuotedStrings
    return { limits: this.limits, doubleQuotedStrings }
  }

  /** Back to what was committed last. */
  rollback(): void {
    this.file.rollback()
    this.#load()
  }

  /** Whether an entry of `origin` at `index` counts; replay gives the same answer. */
  isRegistered(origin: string, index: number): boolean {
    const record = this.origins.get(origin)
    return record !== undefined && countsAt(record, index)
  }

  /**
   * Whether the members ran SQL with different engines at `index`, as far as they had told the
   * cluster by then. Every node and every replay answers alike.
   */
  isMixedAt(index: number): boolean {
    let first: string | null = null
    for (const record of this.origins.values()) {
      if (!countsAt(record, index)) continue
      first ??= record.fingerprint
      if (record.fingerprint !== first) return true
    }
    return false
  }

  /** What each member runs SQL with, by its current origin; members without one are left out. */
  get fingerprints(): ReadonlyMap<number, string> {
    const current = [...this.origins.values()].filter(({ retiredIndex }) => retiredIndex === null)
    return new Map(current.map(({ memberId, fingerprint }) => [memberId, fingerprint]))
  }

  /** Sequences that a database made again after a drop begins with. */
  savedSequences(name: string): ReadonlyMap<string, number> {
    return this.#saved.get(name) ?? NO_SEQUENCES
  }

  /** The same, of one origin in all databases that were ever dropped. */
  savedSequencesOf(origin: string): readonly [string, number][] {
    return [...this.#saved]
      .map(([name, saved]): [string, number] => [name, saved.get(origin) ?? 0])
      .filter(([, last]) => last > 0)
  }

  /** Compare-and-set: see {@link RegisterOrigin}. Only members have origins. */
  registerOrigin(index: number, command: RegisterOrigin): void {
    const { memberId, origin, previous, fingerprint, formatMax } = command
    if (this.origins.has(origin) || !isMember(this.confState, memberId)) return
    const current = this.currentOrigin(memberId)
    if ((current?.origin ?? '') !== previous) return
    if (current !== undefined) this.putOrigin({ ...current, retiredIndex: index })
    const place = { registeredIndex: index, retiredIndex: null, lastDrop: 0 }
    this.putOrigin({ origin, memberId, ...place, fingerprint, formatMax })
  }

  setConf(index: number, confState: ConfState, records: readonly MemberRecord[]): void {
    this.confIndex = index
    this.confState = confState
    this.#putConf()
    for (const record of records) {
      this.members.set(record.memberId, record)
      this.#own((writer) => putMember(writer, record))
    }
    // Also of records that came with the change, but of no member.
    for (const memberId of [...this.members.keys()]) {
      if (isMember(confState, memberId)) continue
      this.members.delete(memberId)
      this.#run(DELETE_MEMBER, memberId)
    }
    for (const record of [...this.origins.values()]) {
      if (record.retiredIndex !== null || isMember(confState, record.memberId)) continue
      this.putOrigin({ ...record, retiredIndex: index })
    }
  }

  /** Does nothing unless every member reads that format, by what it told when it was opened. */
  raiseFormat(format: number): void {
    const { voters, learners, votersOutgoing, learnersNext } = this.confState
    const members = [...voters, ...learners, ...votersOutgoing, ...learnersNext]
    const isRead = members.every((id) => (this.currentOrigin(id)?.formatMax ?? 0) >= format)
    if (!isRead || format <= this.format) return
    this.format = format
    this.#putConf()
  }

  putOrigin(record: OriginRecord): void {
    const { origin, memberId, registeredIndex, retiredIndex, lastDrop } = record
    const { fingerprint, formatMax } = record
    this.origins.set(origin, record)
    const place = [registeredIndex, retiredIndex, lastDrop]
    this.#run(PUT_ORIGIN, origin, memberId, ...place, fingerprint, formatMax)
  }

  putDatabase(record: DatabaseRecord): void {
    const { name, createdIndex, droppedIndex, doubleQuotedStrings, changes } = record
    const settings = [doubleQuotedStrings ? 1 : 0, changes ? 1 : 0]
    this.databases.set(name, record)
    this.#run(PUT_DATABASE, name, createdIndex, droppedIndex, ...settings)
  }

  saveSequences(name: string, sequences: ReadonlyMap<string, number>): void {
    const saved = this.#saved.get(name) ?? new Map<string, number>()
    this.#saved.set(name, saved)
    for (const [origin, last] of sequences) {
      saved.set(origin, last)
      this.#run(PUT_SAVED, name, origin, last)
    }
  }

  /** Origins retired at or below `index`: once every file is there for good, none is needed. */
  originsRetiredUpTo(index: number): readonly string[] {
    return [...this.origins.values()]
      .filter(({ retiredIndex }) => retiredIndex !== null && retiredIndex <= index)
      .map(({ origin }) => origin)
  }

  forgetOrigins(origins: readonly string[]): void {
    for (const origin of origins) {
      this.origins.delete(origin)
      this.#run(DELETE_ORIGIN, origin)
      this.#run(DELETE_SAVED, origin)
      for (const saved of this.#saved.values()) saved.delete(origin)
    }
  }

  /** The origin of a member that is not retired, if it has one. */
  currentOrigin(memberId: number): OriginRecord | undefined {
    for (const record of this.origins.values()) {
      if (record.memberId === memberId && record.retiredIndex === null) return record
    }
    return undefined
  }

  #load(): void {
    this.members.clear()
    this.origins.clear()
    this.databases.clear()
    this.#saved.clear()
    this.#own((writer) => {
      if (writer.own(HAS_CONF).get() === undefined) {
        throw new ColmenaError('ERR_DATA_DIR', `${writer.path} was never finished`)
      }
      this.#loadConf(writer)
      this.limits = readLimits(writer)
      for (const row of rows(writer, SELECT_ORIGINS)) {
        const [origin, memberId, registered, retired, lastDrop, fingerprint, formatMax] = row as [
          string,
          bigint,
          bigint,
          bigint | null,
          bigint,
          string,
          bigint,
        ]
        this.origins.set(origin, {
          origin,
          memberId: Number(memberId),
          registeredIndex: Number(registered),
          retiredIndex: retired === null ? null : Number(retired),
          lastDrop: Number(lastDrop),
          fingerprint,
          formatMax: Number(formatMax),
        })
      }
      for (const row of rows(writer, SELECT_DATABASES)) {
        const [name, created, dropped, ...settings] = row as DatabaseRow
        this.databases.set(name, {
          name,
          createdIndex: Number(created),
          droppedIndex: dropped === null ? null : Number(dropped),
          doubleQuotedStrings: settings[0] !== 0n,
          changes: settings[1] !== 0n,
        })
      }
      for (const row of rows(writer, SELECT_SAVED)) {
        const [name, origin, last] = row as [string, string, bigint]
        const saved = this.#saved.get(name) ?? new Map<string, number>()
        this.#saved.set(name, saved.set(origin, Number(last)))
      }
    })
  }

  #loadConf(writer: Writer): void {
    const [cluster, confIndex, confState, format] = rows(writer, SELECT_CONF)[0] as [
      string,
      bigint,
      Uint8Array,
      bigint,
    ]
    this.clusterId = cluster
    this.confIndex = Number(confIndex)
    this.confState = decodeConfState(confState)
    this.format = Number(format)
    if (this.format > COMMAND_FORMAT) throw newerFormat(writer.path, this.format, COMMAND_FORMAT)
    for (const row of rows(writer, SELECT_MEMBERS)) {
      const [memberId, nodeId, address, role] = row as [bigint, string, string, string]
      const wantedRole = role === 'voter' ? 'voter' : 'learner'
      const record: MemberRecord = { memberId: Number(memberId), nodeId, address, wantedRole }
      this.members.set(record.memberId, record)
    }
  }

  #putConf(): void {
    const { clusterId, confIndex, confState, format } = this
    this.#run(PUT_CONF, clusterId, confIndex, encodeConfState(confState), format)
  }

  #run(sql: string, ...args: readonly (string | number | null | Uint8Array)[]): void {
    this.#own((writer) => {
      writer.own(sql).run(...args)
    })
  }

  #own<T>(work: (writer: Writer) => T): T {
    const { writer } = this.file
    return guardOwn(writer, writer.path, () => work(writer))
  }
}

/** Entries of an origin count between its registration and its end, both excluded. */
function countsAt({ registeredIndex, retiredIndex }: OriginRecord, index: number): boolean {
  return index > registeredIndex && (retiredIndex === null || index < retiredIndex)
}

function rows(writer: Writer, sql: string): readonly unknown[] {
  return writer.own(sql).all()
}

function putMember(writer: Writer, member: MemberRecord): void {
  const { memberId, nodeId, address, wantedRole } = member
  writer.own(PUT_MEMBER).run(memberId, nodeId, address, wantedRole)
}
