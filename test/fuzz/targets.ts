/** All that is fuzzed, by name. */
import { backupTargets } from './backup-targets.ts'
import { commandTargets } from './command-targets.ts'
import { engineTargets } from './engine-targets.ts'
import { fileTargets } from './file-targets.ts'
import { generationTargets } from './generation-targets.ts'
import { logTargets } from './log-targets.ts'
import { memberTargets } from './member-targets.ts'
import { portTargets } from './port-targets.ts'
import { serverTargets } from './server-targets.ts'
import type { AnyTarget } from './target.ts'
import { transferTargets } from './transfer-targets.ts'
import { transportTargets } from './transport-targets.ts'

export const targets: readonly AnyTarget[] = [
  ...transportTargets,
  ...commandTargets,
  ...engineTargets,
  ...memberTargets,
  ...logTargets,
  ...fileTargets,
  ...generationTargets,
  ...portTargets,
  ...transferTargets,
  ...serverTargets,
  ...backupTargets,
]
