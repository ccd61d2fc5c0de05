import type { BackupObject, PutCall, TargetCall } from '../../src/backup/backup.ts'
import { orAborted } from '../../src/backup/calls.ts'
import { ColmenaError } from '../../src/index.ts'
import { MemoryTarget } from './memory-target.ts'

export type Deed = 'list' | 'get' | 'put' | 'delete'

/** Called before a target does something, and after it did: it may throw, or last for long. */
export type Fault = (deed: Deed, name: string, moment: 'before' | 'after') => Promise<void> | void

/** A target that fails when a test says so, and remembers what objects were before. */
export class FaultyTarget extends MemoryTarget {
  fault: Fault = () => {}
  /** All that each object ever was, the oldest first. */
  readonly versions: Map<string, Uint8Array[]> = new Map()

  override async *list(prefix: string, call?: TargetCall): AsyncIterable<BackupObject> {
    await this.#meet('list', prefix, 'before', call)
    yield* super.list(prefix, call)
  }

  override async *get(name: string, call?: TargetCall): AsyncIterable<Uint8Array> {
    await this.#meet('get', name, 'before', call)
    yield* super.get(name, call)
  }

  override async put(
    name: string,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    call?: PutCall,
  ): Promise<boolean> {
    await this.#meet('put', name, 'before', call)
    const isPut = await super.put(name, content, call)
    const bytes = this.held.get(name)?.bytes
    if (isPut && bytes !== undefined) {
      this.versions.set(name, [...(this.versions.get(name) ?? []), bytes])
    }
    await this.#meet('put', name, 'after', call)
    return isPut
  }

  override async delete(name: string, call?: TargetCall): Promise<void> {
    await this.#meet('delete', name, 'before', call)
    await super.delete(name, call)
    await this.#meet('delete', name, 'after', call)
  }

  /** However long a fault lasts, a signal ends the call. */
  async #meet(
    deed: Deed,
    name: string,
    moment: 'before' | 'after',
    call?: TargetCall,
  ): Promise<void> {
    using scope = this.calls.begin(call)
    await orAborted(Promise.resolve(this.fault(deed, name, moment)), scope.signal)
  }
}

/** A fault of a target that can't be reached. */
export function isDown(): void {
  throw new ColmenaError('ERR_TARGET', 'the target is down', { retryable: true })
}
