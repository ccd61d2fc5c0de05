import { Backup, type BackupEvents, type BackupOptions } from '../../src/backup/backup.ts'
import type { ColmenaNode } from '../../src/index.ts'
import type { MovedClock } from './moved-clock.ts'

type Told = {
  readonly [Name in keyof BackupEvents]: {
    readonly name: Name
    readonly event: BackupEvents[Name][0]
  }
}[keyof BackupEvents]

const NAMES = ['generation', 'snapshot', 'failed', 'resumed', 'alert', 'drilled'] as const

/** A backup under a clock that a test moves, and all that it told. */
export interface Watched extends AsyncDisposable {
  readonly backup: Backup
  readonly told: readonly Told[]
  events<Name extends keyof BackupEvents>(name: Name): readonly BackupEvents[Name][0][]
}

/** So many loops of a backup of one target wait for time to pass. */
export const LOOPS = 2

export function watchBackup(node: ColmenaNode, clock: MovedClock, options: BackupOptions): Watched {
  const backup = new Backup(node, { drills: { everyMs: 0 }, ...options }, clock)
  const told: Told[] = []
  for (const name of NAMES) {
    backup.on(name, (event: unknown) => void told.push({ name, event } as Told))
  }
  return {
    backup,
    told,
    events: (name) => told.filter((each) => each.name === name).map(({ event }) => event) as never,
    [Symbol.asyncDispose]: () => backup.close(),
  }
}
