import { once } from 'node:events'
import {
  type Backup,
  type BackupTarget,
  type EncryptionOptions,
  startBackup,
} from '../backup/backup.ts'
import type { ColmenaNode, RestoreOptions } from '../index.ts'
import { readKeys, toTarget } from './backup-target.ts'
import { RestoreWatch } from './restore-watch.ts'
import type { BackupPlan } from './serve-backup.ts'
import { withFlags } from './serve-settings.ts'
import { escapeControls } from './table.ts'

/** Before anything is touched. @throws CliError */
export async function prepareBackups(plan: BackupPlan): Promise<Backups> {
  const encryption = readKeys('--backup-key-file', plan.keyFile)
  const targets = await Promise.all(plan.targets.map((text) => toTarget(text)))
  const { restore } = plan
  const source = restore === null ? null : await toTarget(restore.target, { isRead: true })
  return new Backups(plan, encryption, targets, source)
}

/** The targets of a node that `serve` runs, and its backup. */
export class Backups {
  /** For `open`. */
  readonly restore: RestoreOptions | undefined
  readonly watch: RestoreWatch = new RestoreWatch()
  readonly #plan: BackupPlan
  readonly #encryption: EncryptionOptions | undefined
  readonly #targets: readonly BackupTarget[]
  readonly #source: BackupTarget | null
  #backup: Backup | undefined

  constructor(
    plan: BackupPlan,
    encryption: EncryptionOptions | undefined,
    targets: readonly BackupTarget[],
    source: BackupTarget | null,
  ) {
    this.#plan = plan
    this.#encryption = encryption
    this.#targets = targets
    this.#source = source
    const to = plan.restore?.to
    const point = to !== undefined && 'timeMs' in to ? to.timeMs : to
    this.restore = source === null ? undefined : { from: source, to: point, encryption }
  }

  /** undefined where no target was given. */
  async start(node: ColmenaNode): Promise<Backup | undefined> {
    const restored = this.watch.end()
    if (restored !== '') process.stdout.write(`restored: ${restored}\n`)
    await this.#source?.close()
    if (this.#targets.length === 0) return undefined
    const encryption = this.#encryption
    this.#backup = startBackup(node, { ...this.#plan.options, targets: this.#targets, encryption })
    tellOf(this.#backup)
    return this.#backup
  }

  /** What is written up to now is shipped first, unless the signal says that there is no time. */
  async close({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const closing = this.#backup?.close()
    const isLate = signal === undefined ? [] : [untilAborted(signal)]
    await Promise.race([closing, ...isLate])
    for (const target of [...this.#targets, this.#source]) await target?.close()
    await closing
  }
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
}

/** The first failure of a row and its end; the alert is a log's business. */
function tellOf(backup: Backup): void {
  const say = (stream: NodeJS.WriteStream, line: string): void => {
    stream.write(`backup: ${escapeControls(line)}\n`)
  }
  backup.on('failed', ({ error, inRow }) => {
    if (inRow === 1) say(process.stderr, withFlags(error.message))
  })
  backup.on('alert', ({ target, what, inRow, error }) => {
    if (inRow === 1) return
    const again = what === 'drill' ? 'restoring for a try' : 'it'
    say(process.stderr, `${target}: ${again} failed ${inRow} times in a row: ${error.message}`)
  })
  backup.on('resumed', ({ target }) => say(process.stdout, `${target} goes on`))
  backup.on('generation', ({ target, generation, reason }) => {
    say(process.stdout, `${target} has a new generation, ${generation}: ${reason}`)
  })
}
