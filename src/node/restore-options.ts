import { checkKeys } from './nearest.ts'
import type { NetworkConfig } from './network-options.ts'
import { invalid, isRecord, show } from './option-checks.ts'
import type { RestorePoint, RestoreSource } from './restore-source.ts'

/** `RestoreOptions` after checking. */
export interface RestoreConfig {
  readonly source: RestoreSource
  readonly to: RestorePoint | undefined
  readonly options: Readonly<Record<string, unknown>>
}

/** With a zone: what a text without one means depends on the machine. */
const ISO_TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d))?$/

/** @throws ColmenaError ERR_INVALID_OPTION */
export function checkRestore(restore: unknown): RestoreConfig {
  if (!isRecord(restore)) {
    throw invalid(`restore is ${show(restore)}; it must be an object, such as { from: target }`)
  }
  const { from, to, ...options } = restore
  if (!isRecord(from) || typeof from['restore'] !== 'function') {
    throw invalid(
      `restore.from is ${show(from)}; it must be something to restore from, such as a target of ` +
        'colmena/backup',
    )
  }
  return { source: from as unknown as RestoreSource, to: checkPoint(to), options }
}

/** The same for `open`, of which it must be one that begins a cluster. */
export function checkOpenRestore(
  restore: unknown,
  { genesis }: NetworkConfig,
): RestoreConfig | undefined {
  if (restore === undefined) return undefined
  if (genesis === 'bootstrap') return checkRestore(restore)
  throw invalid(
    'restore begins a cluster, so it needs bootstrap: true, on one node alone: were it done by ' +
      'all that start, each would restore a cluster of its own. Let the others join this one. ' +
      "Of a cluster that forms itself, bring one node's directory back by restoreNode before",
  )
}

function checkPoint(to: unknown): RestorePoint | undefined {
  if (to === undefined) return undefined
  if (isRecord(to) && !(to instanceof Date)) {
    checkKeys(to, ['index'], invalid, ' of restore.to')
    const { index } = to
    if (Number.isSafeInteger(index) && (index as number) > 0) return { index: index as number }
    throw invalid(`restore.to.index is ${show(index)}; it must be the index of an entry, from 1`)
  }
  const isText = typeof to === 'string' && ISO_TIME.test(to)
  const isTime = isText || typeof to === 'number' || to instanceof Date
  const timeMs = isTime ? new Date(to).getTime() : Number.NaN
  if (Number.isFinite(timeMs)) return { timeMs }
  throw invalid(
    `restore.to is ${show(to)}; it must be a time with its zone, such as '2026-03-01T12:00:00Z', ` +
      'milliseconds since 1970, a Date, or { index }',
  )
}
