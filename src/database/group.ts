import { ColmenaError } from '../base/errors.ts'
import { extensionsIn, listExtensions } from '../base/fingerprint.ts'
import {
  type DropDatabase,
  decodeMemberRecords,
  decodeRaiseFormat,
  decodeRegisterOrigin,
  encodeCommandResult,
  isCompaction,
  type UnitResult,
  type WriteCommand,
} from '../command/command.ts'
import { applyConfChangeToState, decodeConfChange } from '../raft/raft.ts'
import type { Entry } from '../raft/types.ts'
import type { ApplyingNote } from './applying-note.ts'
import { compactionOfNothing } from './compacting.ts'
import type { DatabaseFile } from './database-file.ts'
import { applyToFile } from './file-commands.ts'
import { databasePath, hasFile, isDatabaseName, removeDatabase, syncWal } from './generation.ts'
import { type OpenWriter, openOrCreate } from './generation-files.ts'
import { ApplyHooks } from './hooks.ts'
import type { LeaseEntry } from './leases.ts'
import type { OutcomeGatherer } from './outcome.ts'
import { type PlannedEntry, planEntry } from './planning.ts'
import type { StatementWatch } from './statement-watch.ts'
import type { SystemFile } from './system-file.ts'
import { asTrouble, MachineTrouble } from './trouble.ts'
import { type PlacedCommand, staleTransaction } from './unit.ts'

/** What a group works on. */
export interface GroupContext {
  /** The generation's directory. */
  readonly path: string
  readonly system: SystemFile
  readonly files: Map<string, DatabaseFile>
  readonly note: ApplyingNote
  readonly watch: StatementWatch | undefined
  readonly ownOrigin: string
  readonly gatherer: OutcomeGatherer
  readonly hooks: ApplyHooks | undefined
  readonly openWriter: OpenWriter
  readonly onFilesChanged: () => void
}

interface Planned {
  readonly entry: Entry
  readonly plan: PlannedEntry
}

interface Place {
  readonly index: number
  readonly term: number
}

/**
 * Applies entries to all files. The system's file goes first, so that origins, members and
 * databases are known when writes are judged; they are judged by the index of the write, so a file
 * that is behind the system's after a crash gets the same answers in its replay. Dropping a
 * database is a barrier: what is below it in the log is applied before, what is above after.
 */
export function runGroup(context: GroupContext, entries: readonly Entry[]): void {
  const checked = new Set<DatabaseFile>()
  let segment: Planned[] = []
  for (const entry of entries) {
    const plan = planEntry(entry)
    if (plan.kind !== 'drop') {
      segment.push({ entry, plan })
      continue
    }
    runSegment(context, segment, checked)
    segment = []
    dropDatabase(context, entry, plan.command)
  }
  runSegment(context, segment, checked)
}

function runSegment(
  context: GroupContext,
  segment: readonly Planned[],
  checked: Set<DatabaseFile>,
): void {
  const last = segment.at(-1)?.entry
  if (last === undefined) return
  const { system } = context
  runSegmentSystem(context, segment, last)
  const commands = new Map<DatabaseFile, PlacedCommand[]>()
  for (const { entry, plan } of segment) {
    if (plan.kind !== 'write') continue
    openCreated(context, plan.command.database)
    const file = fileOf(context, plan.command.database, entry.index)
    if (file === null) {
      answerWithoutFile(context, entry, plan.command)
      continue
    }
    if (entry.index <= file.applied) continue
    refuseOtherExtensions(system, entry.index, plan.command)
    const list = commands.get(file) ?? []
    commands.set(file, list)
    list.push({ index: entry.index, term: entry.term, command: plan.command })
  }
  for (const [file, list] of commands) {
    if (!checked.has(file)) file.refuseForeignWrites()
    checked.add(file)
    arrangeHooks(context, file)
    applyToFile(file, list, last, {
      note: context.note,
      watch: context.watch,
      isRegistered: (origin, index) => system.isRegistered(origin, index),
      isMixedAt: (index) => system.isMixedAt(index),
      isHeld: (token, index) => system.leases.isHeld(token, index),
      onRefused: (placed, units) => gather(context, placed, units),
      onApplied: (placed, units) => {
        gather(context, placed, units)
        context.hooks?.applied(placed, units)
      },
    })
  }
}

const NO_HOOKS = new ApplyHooks()

/** What listeners of this node, and the database itself, want kept and told of its commands. */
function arrangeHooks({ hooks = NO_HOOKS, system }: GroupContext, file: DatabaseFile): void {
  const isSetting = system.databases.get(file.name)?.changes ?? false
  const isKept = isSetting || hooks.isKept(file.name)
  file.feed.want(isKept ? hooks.changesBytesMax : null, isSetting)
  file.writer.onTouched = hooks.isWatched(file.name)
    ? (tables, isSchemaChanged) => hooks.touched(file.name, tables, isSchemaChanged)
    : null
}

/**
 * What a write means depends on the extensions of the node that it came from. While nodes are
 * linked all have the same; those who were opened with others may still have writes of before in
 * their logs.
 *
 * @throws MachineTrouble: nothing is applied before this node has the list of that time again.
 */
function refuseOtherExtensions(system: SystemFile, index: number, command: WriteCommand): void {
  const { origin, units } = command
  const record = system.origins.get(origin)
  if (record === undefined || units.length === 0 || !system.isRegistered(origin, index)) return
  const theirs = extensionsIn(record.fingerprint)
  const ours = listExtensions(system.file.writer.settings.extensions ?? [])
  if (theirs === ours) return
  const what =
    `entry ${index} was written with extensions ${theirs || '(none)'}, and here are ` +
    `${ours || '(none)'}`
  throw new MachineTrouble(
    `${what}: open all nodes with the list of before until each has applied all, or delete the ` +
      'data directory of this one and let it join again',
    { cause: new ColmenaError('ERR_OTHER_EXTENSIONS', `${what}: give those of that time`) },
  )
}

/**
 * The part of a segment that concerns the cluster itself, in one transaction of the system's file,
 * if there is any.
 */
function runSegmentSystem(context: GroupContext, segment: readonly Planned[], last: Place): void {
  const { system, gatherer } = context
  const { file } = system
  const todo = segment.filter(
    ({ entry, plan }) => entry.index > file.applied && concernsSystem(context, plan),
  )
  if (todo.length === 0) return
  file.refuseForeignWrites()
  let confIndex: number | null = null
  let originsChanged = false
  const ended: string[] = []
  const answered: [PlacedCommand, readonly UnitResult[]][] = []
  try {
    file.begin()
    for (const { entry, plan } of todo) {
      const at = { index: entry.index, ended }
      if (plan.kind === 'confChange') {
        changeConf(system, entry)
        confIndex = entry.index
        originsChanged = true
        system.leases.endRetired(at)
      } else if (plan.kind === 'registerOrigin') {
        system.registerOrigin(entry.index, decodeRegisterOrigin(entry.data))
        originsChanged = true
        system.leases.endRetired(at)
      } else if (plan.kind === 'raiseFormat') {
        system.raiseFormat(decodeRaiseFormat(entry.data).format)
      } else if (plan.kind === 'leases') {
        const units = runLeases(system, plan.command, at)
        if (units !== null) answered.push([{ ...entry, command: plan.command }, units])
      } else if (plan.kind === 'write') {
        const units = prepareWrite(context, plan.command, at)
        if (units !== null) answered.push([{ ...entry, command: plan.command }, units])
      }
    }
    file.commit(last.index, last.term)
  } catch (error) {
    const trouble = asTrouble(error, file.writer, file.writer.path)
    system.rollback()
    throw trouble
  }
  gatherer.confIndex = confIndex ?? gatherer.confIndex
  gatherer.originsChanged ||= originsChanged
  gatherer.endedLeases.push(...ended)
  for (const [placed, units] of answered) gather(context, placed, units)
}

/** Exactly once, as any write: null for what does nothing. */
function runLeases(
  system: SystemFile,
  command: WriteCommand,
  at: LeaseEntry,
): readonly UnitResult[] | null {
  const { origin, sequence } = command
  if (!system.isRegistered(origin, at.index)) return null
  if (sequence !== system.file.lastSequence(origin) + 1) return null
  system.file.setSequence(origin, sequence)
  return system.leases.run(at, command)
}

/** What a write needs to be so before its database's file judges it; its answer if none will. */
function prepareWrite(
  context: GroupContext,
  command: WriteCommand,
  at: LeaseEntry,
): readonly UnitResult[] | null {
  const { system } = context
  const { database: name, doubleQuotedStrings = false, changes = false } = command
  if (command.fence !== undefined && system.isRegistered(command.origin, at.index)) {
    system.leases.advance(at, command.environment.wallMs)
  }
  if (context.files.has(name) || !isDatabaseName(name)) return null
  if (!createsDatabase(context, command, at.index)) return null
  if (isCompaction(command)) {
    // It makes nothing, but what follows it in its sequence must find its place.
    system.saveSequences(name, new Map([[command.origin, command.sequence]]))
    return [compactionOfNothing(name)]
  }
  const place = { createdIndex: at.index, droppedIndex: null }
  system.putDatabase({ name, ...place, doubleQuotedStrings, changes })
  return null
}

function concernsSystem({ files }: GroupContext, plan: PlannedEntry): boolean {
  if (plan.kind === 'write') {
    if (plan.command.fence !== undefined) return true
    return !files.has(plan.command.database) && isDatabaseName(plan.command.database)
  }
  return plan.kind !== 'nothing'
}

function changeConf(system: SystemFile, entry: Entry): void {
  const change = decodeConfChange(entry.data)
  if (change === null) return
  const confState = applyConfChangeToState(system.confState, change)
  system.setConf(entry.index, confState, decodeMemberRecords(change.context))
}

/**
 * A write makes its database if it would apply there: a late duplicate of a write to a database
 * that was dropped since must not bring it back.
 */
function createsDatabase({ system }: GroupContext, command: WriteCommand, index: number): boolean {
  // It was tried on a database that there was.
  if (command.trial !== undefined) return false
  const record = system.databases.get(command.database)
  if (record !== undefined && (record.droppedIndex === null || index <= record.droppedIndex)) {
    return false
  }
  const saved = system.savedSequences(command.database).get(command.origin) ?? 0
  return system.isRegistered(command.origin, index) && command.sequence === saved + 1
}

/** The file that a write at `index` goes to; null where the database did not exist then. */
function fileOf({ files }: GroupContext, database: string, index: number): DatabaseFile | null {
  const file = files.get(database)
  return file === undefined || index < file.created ? null : file
}

/**
 * Opens the file of a database that the system's file has recorded, now or in a group that was
 * halted. A file of that name may be there: the same database's, if a power loss took the record
 * but not the file, or what is left of one dropped before.
 */
function openCreated(context: GroupContext, name: string): void {
  const { system, files, gatherer } = context
  if (files.has(name)) return
  const record = system.databases.get(name)
  if (record === undefined || record.droppedIndex !== null) return
  const file = openDatabase(context, name, record.createdIndex)
  files.set(name, file)
  gatherer.databasesChanged = true
  context.onFilesChanged()
}

function openDatabase(context: GroupContext, name: string, created: number): DatabaseFile {
  const path = databasePath(context.path, name)
  const open = (): DatabaseFile => {
    const writer = context.openWriter(path, context.system.settingsOf(name))
    return openOrCreate(name, writer, created, context.system.savedSequences(name))
  }
  if (hasFile(path)) {
    const found = open()
    if (found.created === created) return found
    found.close()
    removeDatabase(context.path, name)
  }
  return open()
}

/**
 * The record of the drop, with the sequences that a later database of the name goes on from, is
 * durable before the files go: a power loss can't leave a database without files.
 */
function dropDatabase(context: GroupContext, entry: Entry, command: DropDatabase): void {
  const { system, files, gatherer } = context
  if (entry.index <= system.file.applied) return
  const { database, origin, request } = command
  const record = system.origins.get(origin)
  const file = files.get(database)
  const known = system.databases.get(database)
  const counts =
    system.isRegistered(origin, entry.index) && record !== undefined && request > record.lastDrop
  const dropped = counts && file !== undefined && known !== undefined
  system.file.refuseForeignWrites()
  try {
    system.file.begin()
    if (counts) system.putOrigin({ ...record, lastDrop: request })
    if (dropped) {
      system.saveSequences(database, file.sequences)
      system.putDatabase({ ...known, droppedIndex: entry.index })
    }
    system.file.commit(entry.index, entry.term)
  } catch (error) {
    const trouble = asTrouble(error, system.file.writer, system.file.writer.path)
    system.rollback()
    throw trouble
  }
  if (counts && origin === context.ownOrigin) {
    gatherer.drops.push({ request, database, index: entry.index, dropped })
  }
  if (!dropped) return
  files.delete(database)
  gatherer.databasesChanged = true
  gatherer.sequences.delete(database)
  file.close()
  syncWal(system.file.writer.walPath)
  removeDatabase(context.path, database)
  context.hooks?.dropped(database)
  context.onFilesChanged()
}

function gather(
  { gatherer, ownOrigin }: GroupContext,
  { index, term, command }: PlacedCommand,
  units: readonly UnitResult[] | null,
): void {
  if (command.origin !== ownOrigin) return
  const { database, sequence } = command
  const isTried = command.trial !== undefined
  if (!isTried) gatherer.sequences.set(database, sequence)
  if (units === null) return
  // What a transaction's statements answered its caller knows from the trial.
  const answers = isTried
    ? units.map((unit) => (unit.ok ? { ...unit, statements: [] } : unit))
    : units
  const bytes = encodeCommandResult({ database, sequence, isTried, index, term, units: answers })
  gatherer.results.push({ index, bytes })
}

/**
 * A write to what no database can be called, or a transaction on one that was dropped since,
 * changes nothing, and its caller must not wait.
 */
function answerWithoutFile(context: GroupContext, entry: Entry, command: WriteCommand): void {
  const { database, units, trial } = command
  if (!context.system.isRegistered(command.origin, entry.index)) return
  const placed = { index: entry.index, term: entry.term, command }
  if (trial !== undefined) {
    gather(context, placed, [staleTransaction()])
    return
  }
  if (isDatabaseName(database)) return
  const error = {
    code: 'ERR_INVALID_ARGUMENT',
    message: `${JSON.stringify(database)} is no name that a database can have`,
    sqliteCode: 0,
    statementIndex: 0,
  }
  const answers = units.map(() => ({ ok: false as const, error }))
  gather(context, placed, answers)
}
