import {
  type BackupList,
  type BackupStatus,
  type Damage,
  type ListedGeneration,
  listBackup,
  type VerifiedTarget,
  verifyBackup,
} from '../backup/backup.ts'
import { isColmenaError } from '../index.ts'
import { readKeys, toTarget } from './backup-target.ts'
import { ApiClient } from './client.ts'
import { CliError, sentenceOf } from './failure.ts'
import { toInteger } from './numbers.ts'
import type { RemoteOptions } from './remote.ts'
import { RestoreWatch, showBytes } from './restore-watch.ts'
import { toExtension } from './serve-settings.ts'
import { endSignal } from './signals.ts'
import { escapeControls, renderTable, toJsonText } from './table.ts'

export interface ReadBackupFlags {
  readonly keyFile?: string
}

/** How often an answer is waited for anew, while a node ships a first snapshot. */
const SYNC_SECONDS_MAX = 86_400

/** Says what there is to restore in a target. */
export async function runBackupList(
  text: string,
  flags: ReadBackupFlags & { readonly json?: boolean },
): Promise<void> {
  const encryption = readKeys('--key-file', flags.keyFile)
  await using target = await toTarget(text, { isRead: true })
  const list = await listBackup(target, { encryption, signal: endSignal() }).catch((error) => {
    throw asTyped(error)
  })
  process.stdout.write(`${flags.json === true ? toJsonText(list, 2) : describeList(list)}\n`)
  if (list.damages.length > 0) throw damagesError(list.target, list.damages)
}

function describeList({ target, clusterId, generations }: BackupList): string {
  const sizeBytes = generations.reduce((sum, generation) => sum + generation.sizeBytes, 0)
  const head = ['generation', 'restores from', 'to', 'entries', 'snapshots', 'log', 'all', 'keys']
  return [
    `${escapeControls(target)} has the backup of cluster ${clusterId}, ${showBytes(sizeBytes)}`,
    renderTable(head, generations.map(describeGeneration)),
  ].join('\n')
}

function describeGeneration(generation: ListedGeneration): readonly string[] {
  const { from, to, snapshots, logBytes, sizeBytes, keyIds } = generation
  const snapshotBytes = snapshots.reduce((sum, snapshot) => sum + snapshot.sizeBytes, 0)
  return [
    generation.generation,
    from === null ? 'nothing' : showTime(from.timeMs),
    showTime(to.shippedMs),
    `${from?.index ?? '–'} to ${to.index}`,
    `${snapshots.length}, ${showBytes(snapshotBytes)}`,
    showBytes(logBytes),
    showBytes(sizeBytes),
    keyIds.join(', ') || 'none',
  ]
}

/** As `--to` takes it. */
export function showTime(timeMs: number): string {
  return timeMs === 0 ? 'the beginning' : new Date(timeMs).toISOString()
}

/** Reads all of a target, and restores it for a try. */
export async function runBackupVerify(
  text: string,
  flags: ReadBackupFlags & { readonly extensions?: readonly string[]; readonly dir?: string },
): Promise<void> {
  const encryption = readKeys('--key-file', flags.keyFile)
  const extensions = flags.extensions?.map(toExtension)
  await using target = await toTarget(text, { isRead: true })
  const watch = new RestoreWatch()
  const found = await verifyBackup(target, {
    encryption,
    extensions,
    directory: flags.dir,
    signal: endSignal(),
    onProgress: (progress) => watch.update(progress),
  }).catch((error) => {
    throw asTyped(error)
  })
  const speed = watch.end()
  if (found.verified !== null) process.stdout.write(`${describeVerified(found.verified)}\n`)
  process.stdout.write(`${speed}\n`)
  if (found.damages.length > 0) throw damagesError(target.label, found.damages)
  process.stdout.write(`${escapeControls(target.label)} is whole\n`)
}

function describeVerified(verified: NonNullable<VerifiedTarget['verified']>): string {
  const { generation, index, timeMs, hashes, comparedIndex } = verified
  return [
    `restored for a try up to entry ${index} (${showTime(timeMs)}) of ${generation}:`,
    ...Object.entries(hashes).map(([name, hash]) => `  ${hash}  ${escapeControls(name)}`),
    ...(comparedIndex === null
      ? []
      : [`the log leads to the very content of the snapshot at ${comparedIndex}`]),
  ].join('\n')
}

function damagesError(target: string, damages: readonly Damage[]): CliError {
  for (const { name, message } of damages) {
    const line = message.includes(name) ? message : `${name}: ${message}`
    process.stderr.write(`${escapeControls(line)}\n`)
  }
  const count = damages.length === 1 ? '1 object is' : `${damages.length} objects are`
  return new CliError(`${target} is damaged: ${count} not as put there`)
}

/** A library speaks of its options; whoever types has flags. */
export function asTyped(error: unknown): CliError {
  const message = sentenceOf(error)
    .replace(/, which was not given/, ': give the file that has it by --key-file')
    .replace(/and keys were given/, 'and --key-file was given')
  const isWrong = isColmenaError(error) && error.code === 'ERR_INVALID_OPTION'
  return new CliError(message, isWrong ? 2 : 1, { cause: error })
}

interface Synced {
  readonly done: boolean
  readonly backup: BackupStatus
}

/** Has the cluster put there what is applied by now. */
export async function runBackupNow({
  url,
  token,
  timeoutSeconds,
}: RemoteOptions & { readonly timeoutSeconds: string }): Promise<void> {
  const seconds = toInteger('--timeout-seconds', timeoutSeconds, 1, SYNC_SECONDS_MAX)
  const deadlineMs = performance.now() + seconds * 1_000
  for (;;) {
    const leftMs = Math.max(1, Math.ceil(deadlineMs - performance.now()))
    const client = new ApiClient({ url, token, timeoutMs: leftMs })
    const { done, backup } = await client.post<Synced>('backup/sync')
    if (done) {
      const lines = backup.targets.map(({ label, lastIndex }) => {
        return `${escapeControls(label)} has all up to entry ${lastIndex}\n`
      })
      process.stdout.write(lines.join(''))
      return
    }
    // The node goes on, and asked again it answers once that is done.
    if (performance.now() >= deadlineMs) {
      throw new CliError(`it goes on, and was not done within ${seconds} s: see colmena status`)
    }
  }
}
