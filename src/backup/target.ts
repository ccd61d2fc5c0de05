import type { RestoreRequest, RestoreSource } from '../index.ts'
import type { BackupObject, Objects, PutCall, TargetCall } from './objects.ts'
import { restoreFrom } from './restore-request.ts'

export type { BackupObject, PutCall, TargetCall } from './objects.ts'

/**
 * Where backups are kept: objects of bytes by name, each there whole or not at all. Names are of
 * `[a-zA-Z0-9._-]` in parts joined by `/`, of 500 characters at most, a part of 200; no part begins
 * with a dot. Others are refused with ERR_INVALID_ARGUMENT. As some targets have folders, nobody
 * uses an object's name as a part of another's (`a` and `a/b`), or two that differ by case alone.
 * Extend it to bring a target of your own, and let `testTarget` tell whether it does.
 *
 * All calls but `close` may be made at the same time, and again after they failed. What a target
 * can't do just now it throws as ColmenaError ERR_TARGET with `retryable` true, what will not be
 * better by itself (wrong credentials, no such bucket) with false, saying what to do.
 */
export abstract class BackupTarget implements Objects, RestoreSource, AsyncDisposable {
  /** What people know it by, as in `s3://bucket/prefix`: it stands in errors and in `status()`. */
  abstract readonly label: string

  /** The objects whose names begin so, in the order of their names' characters. */
  abstract list(prefix: string, call?: TargetCall): AsyncIterable<BackupObject>

  /**
   * What an object holds, piece by piece: it ends early for no other reason than an error.
   *
   * @throws ColmenaError ERR_NOT_FOUND where there is none
   */
  abstract get(name: string, call?: TargetCall): AsyncIterable<Uint8Array>

  /**
   * Makes an object, in place of one of that name. It is there, whole, lasting, and in every list
   * that is begun then, once this resolves; where it rejects it may be there whole, or not at all.
   * The pieces are asked for once, one after the other, and held in memory up to a bound. What they
   * throw is thrown on, and leaves nothing.
   *
   * @returns false where `ifAbsent` found one
   */
  abstract put(
    name: string,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    call?: PutCall,
  ): Promise<boolean>

  /** Removes an object; one that is not there is removed already. */
  abstract delete(name: string, call?: TargetCall): Promise<void>

  /**
   * What `open` and `restoreNode` call for their `restore: { from: target }`: brings back what a
   * backup has here. Beside `from` and `to` it takes {@link RestoreFromOptions}.
   *
   * @throws ColmenaError ERR_INVALID_OPTION; ERR_NOT_FOUND where there is no backup, or none of
   * that moment; ERR_BACKUP_DAMAGED, ERR_MIXED_ENGINES, ERR_TARGET, ERR_ABORTED
   */
  async restore(request: RestoreRequest): Promise<void> {
    await restoreFrom(this, request)
  }

  /** Gives back what the target holds. What is under way, or begun later, ends with ERR_CLOSED. */
  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
