import {
  type BackupObject,
  BackupTarget,
  type PutCall,
  type TargetCall,
} from '../../src/backup/backup.ts'
import { Calls, readPieces } from '../../src/backup/calls.ts'
import { checkName, checkPrefix } from '../../src/backup/object-name.ts'
import { ColmenaError } from '../../src/index.ts'

interface Held {
  readonly bytes: Uint8Array
  readonly modifiedMs: number
}

/** A target that keeps what it promises, and loses all with its map. */
export class MemoryTarget extends BackupTarget {
  readonly label: string = 'memory'
  readonly held: Map<string, Held>
  readonly calls: Calls = new Calls('memory')

  constructor(held: Map<string, Held> = new Map()) {
    super()
    this.held = held
  }

  async *list(prefix: string, call?: TargetCall): AsyncIterable<BackupObject> {
    checkPrefix(prefix)
    using scope = this.calls.begin(call)
    for (const name of [...this.held.keys()].sort()) {
      const held = this.held.get(name)
      if (held === undefined || !name.startsWith(prefix)) continue
      scope.signal.throwIfAborted()
      yield { name, sizeBytes: held.bytes.length, modifiedMs: held.modifiedMs }
    }
    scope.signal.throwIfAborted()
  }

  async *get(name: string, call?: TargetCall): AsyncIterable<Uint8Array> {
    checkName(name)
    using scope = this.calls.begin(call)
    const held = this.held.get(name)
    if (held === undefined) throw new ColmenaError('ERR_NOT_FOUND', `there is no ${name}`)
    for (let at = 0; at < held.bytes.length; at += 100_000) {
      scope.signal.throwIfAborted()
      yield held.bytes.slice(at, at + 100_000)
    }
  }

  async put(
    name: string,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    call: PutCall = {},
  ): Promise<boolean> {
    checkName(name)
    using scope = this.calls.begin(call)
    const pieces: Uint8Array[] = []
    for await (const piece of readPieces(content, scope.signal)) pieces.push(piece.slice())
    if (call.ifAbsent === true && this.held.has(name)) return false
    this.held.set(name, { bytes: Buffer.concat(pieces), modifiedMs: Date.now() })
    return true
  }

  async delete(name: string, call?: TargetCall): Promise<void> {
    checkName(name)
    using _ = this.calls.begin(call)
    this.held.delete(name)
  }

  override async close(): Promise<void> {
    this.calls.close()
  }
}
