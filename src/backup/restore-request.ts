import type { RestorePoint, RestoreRequest } from '../index.ts'
import { type EncryptionOptions, Keys } from './keys.ts'
import type { Objects } from './objects.ts'
import { checkKeys } from './option-checks.ts'
import type { Wanted } from './points.ts'
import { type RestoreProgress, replayBackup } from './restoring.ts'
import { Store } from './store.ts'

/** Often enough for who watches. */
const TELL_MS = 250

/** What `restore` takes for a target of a backup, beside `from` and `to`. */
export interface RestoreFromOptions {
  /** The keys that it was sealed with. */
  readonly encryption?: EncryptionOptions | undefined
}

/** @throws ColmenaError as of `BackupTarget.restore` */
export async function restoreFrom(target: Objects, request: RestoreRequest): Promise<void> {
  const { options, to, copies, signal } = request
  checkKeys(options, ['encryption'], 'restore')
  const { encryption } = options as RestoreFromOptions
  const store = new Store(target, new Keys(encryption), signal)
  const replayed = await replayBackup(store, {
    copies,
    wanted: asWanted(to),
    openReplay: () => request.openReplay(),
    signal,
    progress: seldom(({ phase, ...done }) => request.progress(`restoring: ${phase}`, done)),
  })
  for (const { message } of replayed.damages) request.progress(`done without: ${message}`)
}

/** Each phase's beginning and end, and what is between them now and then: a log is no bar. */
function seldom(tell: (progress: RestoreProgress) => void): (progress: RestoreProgress) => void {
  let last: { readonly phase: string; readonly atMs: number } | null = null
  return (progress) => {
    const { phase, doneBytes, totalBytes } = progress
    const nowMs = performance.now()
    const isDue = last?.phase !== phase || nowMs - last.atMs >= TELL_MS || doneBytes === totalBytes
    if (!isDue) return
    last = { phase, atMs: nowMs }
    tell(progress)
  }
}

/** A point as a restore takes it; undefined is the newest that there is. */
export function asWanted(to: RestorePoint | undefined): Wanted {
  if (to === undefined) return { kind: 'latest' }
  if ('index' in to) return { kind: 'index', index: to.index }
  return { kind: 'time', timeMs: to.timeMs }
}
