import { invalid } from './arguments.ts'
import { checkNotAborted } from './failures.ts'
import {
  checkKey,
  checkLockOptions,
  checkOnceOptions,
  type Lease,
  type LockOptions,
  type OnceOptions,
} from './lease-options.ts'
import type { Lock } from './lock.ts'
import type { NodeCore } from './node-core.ts'

/** A lock, once it is this caller's. */
export async function takeLock(core: NodeCore, key: string, options: LockOptions): Promise<Lock> {
  core.checkOpen()
  checkKey(key)
  const checked = checkLockOptions(options, core.config.requestTimeoutMs)
  checkNotAborted(checked.signal)
  return core.outgoing.leases.lock(key, checked)
}

/** What `work` resolves to, wherever it has run. */
export async function runOnce(
  core: NodeCore,
  key: string,
  options: OnceOptions,
  work: ((lease: Lease) => unknown) | undefined,
): Promise<unknown> {
  core.checkOpen()
  checkKey(key)
  const checked = checkOnceOptions(options, core.config.requestTimeoutMs)
  checkNotAborted(checked.signal)
  if (typeof work !== 'function') {
    throw invalid('once takes a function as its third argument')
  }
  return core.outgoing.once.run(key, checked, work)
}
