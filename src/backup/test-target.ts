import type { BackupTarget } from './target.ts'
import { CALL_CASES } from './target-cases-calls.ts'
import { LIST_CASES } from './target-cases-lists.ts'
import { OBJECT_CASES } from './target-cases-objects.ts'
import { drain, Rig } from './target-rig.ts'

/** One promise of a target, and a test of it. */
export interface TargetCase {
  readonly name: string
  /** Rejects where the target does not keep it, with what it did instead. */
  readonly run: () => Promise<void>
}

/**
 * What `BackupTarget` promises, as cases for any runner of tests. Each opens a target of its own,
 * uses names of its own that begin with `target-test-`, and removes what it put: all of them may
 * share one bucket. They put some 1,100 objects and 150 MiB in all.
 *
 * @example
 * for (const { name, run } of testTarget(() => new MyTarget())) it(name, run)
 */
export function testTarget(
  makeTarget: () => BackupTarget | Promise<BackupTarget>,
): readonly TargetCase[] {
  const cases = Object.entries({ ...OBJECT_CASES, ...LIST_CASES, ...CALL_CASES })
  return cases.map(([name, check]) => ({ name, run: () => runCase(makeTarget, check) }))
}

async function runCase(
  makeTarget: () => BackupTarget | Promise<BackupTarget>,
  check: (rig: Rig) => Promise<void>,
): Promise<void> {
  const rig = new Rig(await makeTarget())
  try {
    await check(rig)
  } catch (error) {
    await clean(makeTarget, rig).catch(() => {})
    throw error
  }
  await clean(makeTarget, rig)
}

/** By another target, as the case may have closed its own. */
async function clean(
  makeTarget: () => BackupTarget | Promise<BackupTarget>,
  { target, folder }: Rig,
): Promise<void> {
  await target.close()
  const cleaner = await makeTarget()
  try {
    for (const { name } of await drain(cleaner.list(folder))) await cleaner.delete(name)
  } finally {
    await cleaner.close()
  }
}
