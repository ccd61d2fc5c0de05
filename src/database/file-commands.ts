import { assert } from '../base/assert.ts'
import {
  compactionResult,
  type Environment,
  isCompaction,
  type UnitError,
  type UnitResult,
} from '../command/command.ts'
import { classifyFailure } from '../sqlite/sqlite.ts'
import type { ApplyingNote } from './applying-note.ts'
import { compactFile, mixedCompaction } from './compacting.ts'
import type { DatabaseFile } from './database-file.ts'
import type { StatementWatch } from './statement-watch.ts'
import { asTrouble, haltingTrouble, isSqliteError, MachineTrouble } from './trouble.ts'
import {
  fencedUnit,
  lastStatement,
  mixUnit,
  type PlacedCommand,
  runUnit,
  staleTransaction,
  TransactionVanished,
  voidedUnit,
} from './unit.ts'

export interface FileCommandsOptions {
  /** Whether the command's origin was registered at the command's index. */
  readonly isRegistered: (origin: string, index: number) => boolean
  /** Whether the members ran different engines at an index: then every changed row is hashed. */
  readonly isMixedAt: (index: number) => boolean
  /** Whether the lease of that token was held at an index. */
  readonly isHeld: (token: number, index: number) => boolean
  /** Told of each command that applied, after its commit; `units` null if they are not known. */
  readonly onApplied: (placed: PlacedCommand, units: readonly UnitResult[] | null) => void
  /** Told of each command of which nothing may run, after the commit of its place in the log. */
  readonly onRefused: (placed: PlacedCommand, units: readonly UnitResult[]) => void
  /** Times the statements; undefined where nobody asks. */
  readonly watch?: StatementWatch | undefined
  /** Told which entries are about to run, in case one of them kills this process. */
  readonly note: ApplyingNote
}

/**
 * What keeps a unit out of other units' transactions. Foreign keys can only be switched between
 * two transactions. Deferred constraints are only checked at the
 * outermost COMMIT, so with them a result would depend on how a node groups; ANALYZE and REINDEX
 * change what the connection remembers. A match inside a string only costs a transaction.
 */
const SOLITARY = /DEFERR|defer_foreign_keys|\bANALYZE\b|\bREINDEX\b/i

function isSolitary(placed: PlacedCommand): boolean {
  return placed.command.units.some(
    (unit) =>
      unit.compacts || unit.foreignKeysOff || unit.statements.some(({ sql }) => SOLITARY.test(sql)),
  )
}

/**
 * Applies the commands of one file, in order, in as few transactions as their kinds allow, the
 * last of which moves the file's applied index to `end`. Commands at or below the file's applied
 * index must not be among them.
 *
 * @throws MachineTrouble after a rollback; what was committed before it stays, and is skipped when
 * the same group is tried again.
 */
export function applyToFile(
  file: DatabaseFile,
  commands: readonly PlacedCommand[],
  end: { readonly index: number; readonly term: number },
  options: FileCommandsOptions,
): void {
  try {
    let from = 0
    while (from < commands.length) {
      const first = commands[from] as PlacedCommand
      if (isCompaction(first.command)) {
        applyCompaction(file, first, options)
        from += 1
        continue
      }
      // Only a solitary command can bring the first deferred foreign key into the schema.
      const mustSplit = file.part !== null || file.writer.hasDeferredForeignKeys()
      if (mustSplit || isSolitary(first)) {
        applySolitary(file, first, options)
        from += 1
        continue
      }
      let to = from + 1
      if (!options.note.isSuspect(first.index)) {
        while (to < commands.length && !isSolitary(commands[to] as PlacedCommand)) to += 1
      }
      applyTogether(file, commands.slice(from, to), to === commands.length ? end : null, options)
      from = to
    }
    file.bump(end.index, end.term)
    options.note.end()
  } catch (error) {
    const trouble = asTrouble(error, file.writer, file.writer.path)
    file.rollback()
    // What ends the thread is a death, as what ends the process: the entry may bring it each time.
    if (haltingTrouble(trouble) !== null) options.note.end()
    throw trouble
  }
}

/**
 * One transaction for many commands. A unit that makes the transaction vanish is answered with its
 * error, and the others are run again without it up to its command's end, so that the second
 * vanishing unit of a group doesn't make everything run a third time.
 */
function applyTogether(
  file: DatabaseFile,
  commands: readonly PlacedCommand[],
  end: { readonly index: number; readonly term: number } | null,
  options: FileCommandsOptions,
): void {
  const answers = new Map<string, UnitError>()
  let from = 0
  let to = commands.length
  while (from < commands.length) {
    try {
      const stretch = commands.slice(from, to)
      const last = stretch.at(-1) as PlacedCommand
      applyStretch(file, stretch, answers, to === commands.length && end ? end : last, options)
      from = to
      to = commands.length
    } catch (error) {
      if (!(error instanceof TransactionVanished)) throw error
      file.rollback()
      const key = answerKey(error.index, error.unit)
      assert(!answers.has(key), 'a unit that is answered with its error is not run again')
      answers.set(key, error.error)
      to = commands.findIndex(({ index }) => index === error.index) + 1
    }
  }
}

function answerKey(index: number, unit: number): string {
  return `${index}:${unit}`
}

function applyStretch(
  file: DatabaseFile,
  commands: readonly PlacedCommand[],
  answers: ReadonlyMap<string, UnitError>,
  end: { readonly index: number; readonly term: number },
  options: FileCommandsOptions,
): void {
  const told: (() => void)[] = []
  options.note.begin(file, commands[0]?.index ?? end.index, end.index)
  file.begin()
  options.watch?.begin()
  for (const placed of commands) {
    const verdict = judge(file, placed, options)
    if (verdict === 'nothing') continue
    if (verdict !== 'run') {
      const refused = refuseCommand(file, placed, verdict)
      told.push(() => options.onRefused(placed, refused))
      continue
    }
    const environment = startCommand(file, placed, options)
    const results = placed.command.units.map((_, ordinal) => {
      const answer = answers.get(answerKey(placed.index, ordinal))
      const result: UnitResult =
        answer !== undefined
          ? { ok: false, error: answer }
          : runUnit(file, placed, ordinal, environment, true, options.watch)
      mixUnit(file, placed.index, ordinal, result)
      return result
    })
    finishCommand(file, placed)
    told.push(() => options.onApplied(placed, results))
  }
  file.commit(end.index, end.term)
  for (const tell of told) tell()
}

/**
 * One transaction per unit, each of which notes how many units of the command are done: the
 * constraints that a COMMIT finds are then the answer of that unit alone.
 */
function applySolitary(
  file: DatabaseFile,
  placed: PlacedCommand,
  options: FileCommandsOptions,
): void {
  const { part } = file
  assert(part === null || part.index === placed.index, 'a half-applied command comes first')
  const { units } = placed.command
  if (part === null && (judge(file, placed, options) !== 'run' || units.length === 0)) {
    applyStretch(file, [placed], new Map(), placed, options)
    return
  }
  if (options.note.isVoid(placed.index)) {
    endVoidedPart(file, placed, options)
    return
  }
  options.note.begin(file, placed.index, placed.index)
  // One array for all parts: an answer joins it once its unit is committed.
  const results = part === null ? [] : (part.results as UnitResult[] | null)
  for (let unit = part?.unitsDone ?? 0; unit < units.length; unit += 1) {
    const answer = applySolitaryUnit(file, placed, unit, options, () => {
      if (unit < units.length - 1) {
        const next = { index: placed.index, unitsDone: unit + 1, results }
        file.commit(file.applied, file.term, next)
      } else {
        finishCommand(file, placed)
        file.commit(placed.index, placed.term)
      }
    })
    results?.push(answer)
  }
  options.onApplied(placed, results)
}

function applySolitaryUnit(
  file: DatabaseFile,
  placed: PlacedCommand,
  ordinal: number,
  options: FileCommandsOptions,
  commit: () => void,
): UnitResult {
  let answer: UnitResult
  try {
    file.begin(placed.command.units[ordinal]?.foreignKeysOff)
    options.watch?.begin()
    const environment = startCommand(file, placed, options)
    answer = runUnit(file, placed, ordinal, environment, false, options.watch)
    if (answer.ok) {
      mixUnit(file, placed.index, ordinal, answer)
      commit()
      return answer
    }
  } catch (error) {
    if (error instanceof TransactionVanished) answer = { ok: false, error: error.error }
    else answer = { ok: false, error: answerOf(error, file, lastStatement(placed, ordinal)) }
  }
  file.rollback()
  file.begin()
  startCommand(file, placed, options)
  mixUnit(file, placed.index, ordinal, answer)
  commit()
  return answer
}

/**
 * By itself, as SQLite compacts in no other transaction. What its entry leaves in the bookkeeping
 * follows in the next one.
 */
function applyCompaction(
  file: DatabaseFile,
  placed: PlacedCommand,
  options: FileCommandsOptions,
): void {
  if (judge(file, placed, options) !== 'run') {
    applyStretch(file, [placed], new Map(), placed, options)
    return
  }
  options.note.begin(file, placed.index, placed.index)
  const beforeBytes = file.sizeBytes
  const answer = options.isMixedAt(placed.index)
    ? mixedCompaction()
    : compactFile(file, placed, options.watch)
  file.begin()
  startCommand(file, placed, options)
  mixUnit(file, placed.index, 0, answer)
  finishCommand(file, placed)
  file.commit(placed.index, placed.term)
  if (answer.ok) {
    file.wal.cut()
    // Who watches may have read rowids.
    file.writer.onTouched?.([], true)
  }
  const sizes = answer.ok ? compactionResult({ beforeBytes, afterBytes: file.sizeBytes }) : answer
  options.onApplied(placed, [sizes])
}

/** The answer that an error of SQLite's is; anything else is thrown on. */
function answerOf(error: unknown, file: DatabaseFile, statementIndex: number): UnitError {
  if (error instanceof MachineTrouble || !isSqliteError(error)) throw error
  const failure = classifyFailure(error, file.writer, statementIndex)
  if (failure.kind === 'answer' || failure.kind === 'vanished') return failure.error
  throw asTrouble(error, file.writer, file.writer.path)
}

/**
 * Exactly once: only the origin's next command applies; a duplicate or a gap does nothing. A
 * transaction applies only on the state that it was tried on, which it changes for good: so no
 * second time either.
 */
function judge(
  file: DatabaseFile,
  { index, command }: PlacedCommand,
  options: FileCommandsOptions,
): Verdict {
  const { origin, sequence, trial, fence } = command
  if (!options.isRegistered(origin, index)) return 'nothing'
  if (trial !== undefined && trial.base !== file.lastWrite) return 'stale'
  if (trial === undefined && sequence !== file.lastSequence(origin) + 1) return 'nothing'
  if (options.note.isVoid(index)) return 'void'
  return fence === undefined || options.isHeld(fence, index) ? 'run' : 'fenced'
}

type Verdict = 'nothing' | 'stale' | 'void' | 'fenced' | 'run'

/**
 * It is answered, so it has its place in the sequence; else it leaves nothing behind. Nothing in
 * the digest either, which is known for the indexes of writes alone: whoever ran it shows by what
 * that did.
 */
function refuseCommand(
  file: DatabaseFile,
  { index, command }: PlacedCommand,
  verdict: Exclude<Verdict, 'nothing' | 'run'>,
): UnitResult[] {
  const { origin, sequence, trial, fence = 0, units } = command
  if (verdict === 'stale') return [staleTransaction()]
  if (trial === undefined) file.setSequence(origin, sequence)
  const refused = verdict === 'void' ? voidedUnit(index) : fencedUnit(fence)
  return units.map(() => refused)
}

/**
 * Some units of the command were committed before the one that killed the process, the same ones on
 * all members: they stay, and their answers are lost with that process.
 */
function endVoidedPart(
  file: DatabaseFile,
  placed: PlacedCommand,
  options: FileCommandsOptions,
): void {
  file.begin()
  startCommand(file, placed, options)
  finishCommand(file, placed)
  file.commit(placed.index, placed.term)
  options.onApplied(placed, null)
}

/** The command's environment, with a clock that never goes back in this file. */
function startCommand(
  file: DatabaseFile,
  { index, command }: PlacedCommand,
  options: FileCommandsOptions,
): Environment {
  file.startCommand(options.isMixedAt(index))
  // Transactions that are tried meanwhile count on it: only what counts as a write moves it.
  if (command.units.length > 0) file.clockMs = Math.max(file.clockMs, command.environment.wallMs)
  return { ...command.environment, wallMs: file.clockMs }
}

function finishCommand(file: DatabaseFile, { index, command }: PlacedCommand): void {
  if (command.trial === undefined) file.setSequence(command.origin, command.sequence)
  if (command.units.length === 0) return
  file.lastWrite = index
  file.digests.note(index, file.digest)
}
