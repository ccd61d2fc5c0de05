/**
 * A disk that lies in every way a real one may: it loses, tears and garbles what was not synced,
 * forgets names, fails, fills up and rots. Bytes are real. All chance comes from one seed.
 */
import type { Done } from '../../src/base/ports.ts'
import type { Disk, DiskFile, FileMode } from '../../src/log/disk.ts'
import { type CrashOdds, Inode, POWER_LOSSES } from './inode.ts'
import type { SeededRandom } from './random.ts'

export type DiskOperationKind =
  | 'open'
  | 'write'
  | 'read'
  | 'sync'
  | 'size'
  | 'close'
  | 'list'
  | 'rename'
  | 'remove'
  | 'syncDirectory'
  | 'makeDirectory'

export interface DiskOperation {
  readonly kind: DiskOperationKind
  readonly path: string
  /** Counts from 1 over the life of the disk. */
  readonly step: number
  readonly sizeBytes: number
  /** True for a write that is to be durable. */
  readonly isSynced: boolean
}

export interface DiskFault {
  /** As the operating system names it: 'EIO', 'ENOSPC'. */
  readonly code: string
  /** How much of a write happens all the same; nothing by default. */
  readonly writtenBytes?: number | undefined
}

export interface SimulatedDiskOptions {
  readonly random: SeededRandom
  /**
   * Calls `complete` later. By default completions queue up until `step` or `settle` is called.
   */
  readonly schedule?: ((operation: DiskOperation, complete: () => void) => void) | undefined
  /** Asked before each operation; null lets it succeed. */
  readonly fault?: ((operation: DiskOperation) => DiskFault | null) | undefined
  /** No limit by default. */
  readonly capacityBytes?: number | undefined
}

type Node = Inode | 'directory'

/** One change of names that a crash keeps or loses as a whole. */
interface NameChange {
  readonly directory: string
  readonly names: readonly (readonly [path: string, node: Node | null])[]
}

export class SimulatedDisk implements Disk {
  readonly #random: SeededRandom
  readonly #schedule: (operation: DiskOperation, complete: () => void) => void
  readonly #queue: (() => void)[] = []
  fault: (operation: DiskOperation) => DiskFault | null
  capacityBytes: number
  /** Operations begun so far. */
  steps = 0
  readonly counts: Map<DiskOperationKind, number> = new Map()
  #names: Map<string, Node> = new Map([['', 'directory']])
  #durableNames: Map<string, Node> = new Map([['', 'directory']])
  #changes: NameChange[] = []
  /** Bumped when the process dies: what belongs to it never completes. */
  #life = 0
  #stopAt = Number.POSITIVE_INFINITY

  constructor(options: SimulatedDiskOptions) {
    this.#random = options.random
    this.#schedule = options.schedule ?? ((_operation, complete) => this.#queue.push(complete))
    this.fault = options.fault ?? (() => null)
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY
  }

  /** Completes the oldest operation in the queue; false if there is none. */
  step(): boolean {
    const complete = this.#queue.shift()
    complete?.()
    return complete !== undefined
  }

  /** Completes everything, also what the completions begin. */
  settle(): void {
    while (this.step());
  }

  /** The operation of this number begins but never completes, and no later one begins. */
  stopAtStep(step: number): void {
    this.#stopAt = step
  }

  get isStopped(): boolean {
    return this.steps >= this.#stopAt
  }

  /** Power loss: what was not synced is kept, lost or garbled; open files are gone. */
  crash(fate?: CrashOdds): void {
    const random = this.#random
    const odds = fate ?? random.pick(POWER_LOSSES)
    for (const change of this.#changes) {
      if (random.chance(odds.kept)) apply(this.#durableNames, change)
    }
    this.#changes = []
    const inodes = new Set([...this.#names.values(), ...this.#durableNames.values()])
    for (const node of inodes) if (node !== 'directory') node.crash(random, odds)
    const names = [...this.#durableNames].filter(([path]) => this.#isReachable(path))
    this.#durableNames = new Map(names)
    this.#names = new Map(names)
    this.kill()
  }

  /** The process dies, the system lives on: everything written is still seen. */
  kill(): void {
    this.#life += 1
    this.#queue.length = 0
    this.#stopAt = Number.POSITIVE_INFINITY
  }

  get usedBytes(): number {
    let bytes = 0
    for (const node of this.#names.values()) if (node !== 'directory') bytes += node.sizeBytes
    return bytes
  }

  /** Whether there is an end to its room. */
  get isBounded(): boolean {
    return this.capacityBytes !== Number.POSITIVE_INFINITY
  }

  /** The paths of all files, as the running system sees them. */
  get paths(): string[] {
    return [...this.#names].filter(([, node]) => node !== 'directory').map(([path]) => path)
  }

  /** The files of a directory that any power loss leaves; or those that the system shows. */
  filesOf(
    directory: string,
    which: 'durable' | 'seen',
  ): { readonly name: string; readonly inode: Inode }[] {
    const files: { readonly name: string; readonly inode: Inode }[] = []
    for (const [path, inode] of which === 'durable' ? this.#durableNames : this.#names) {
      if (inode === 'directory' || parentOf(path) !== directory) continue
      files.push({ name: path.slice(directory.length + 1), inode })
    }
    return files
  }

  bytesOf(path: string): Uint8Array {
    const inode = this.#find(path)
    return inode.read(0, inode.sizeBytes)
  }

  /** Rot, or a write that went astray: `bytes` stand at `offset` of a file for good. */
  damage(path: string, offset: number, bytes: Uint8Array): void {
    this.#find(path).damage(offset, bytes)
  }

  flipBit(path: string, offset: number, bit: number): void {
    const [byte] = this.#find(path).read(offset, 1)
    this.damage(path, offset, Uint8Array.of((byte as number) ^ (1 << bit)))
  }

  open(path: string, mode: FileMode, done: (error: Error | null, file: DiskFile) => void): void {
    this.#begin('open', path, 0, (error, complete) => {
      const node = this.#names.get(path)
      const problem =
        error ?? (mode !== 'create' && !(node instanceof Inode) ? diskError('ENOENT', path) : null)
      let inode = node instanceof Inode ? node : new Inode()
      if (problem === null && mode === 'create') {
        inode = new Inode()
        this.#change(parentOf(path), [[path, inode]])
      }
      complete(() => done(problem, this.#openFile(path, inode)))
    })
  }

  list(path: string, done: (error: Error | null, names: readonly string[]) => void): void {
    this.#begin('list', path, 0, (error, complete) => {
      const isThere = this.#names.get(path) === 'directory'
      const children = [...this.#names.keys()].filter((key) => key !== '' && parentOf(key) === path)
      const names = children.map((key) => key.slice(path === '' ? 0 : path.length + 1))
      complete(() => done(error ?? (isThere ? null : diskError('ENOENT', path)), names))
    })
  }

  rename(from: string, to: string, done: Done): void {
    this.#begin('rename', from, 0, (error, complete) => {
      const node = this.#names.get(from)
      const problem = error ?? (node === undefined ? diskError('ENOENT', from) : null)
      if (problem === null) {
        this.#change(parentOf(to), [
          [from, null],
          [to, node as Node],
        ])
      }
      complete(() => done(problem))
    })
  }

  remove(path: string, done: Done): void {
    this.#begin('remove', path, 0, (error, complete) => {
      const problem = error ?? (this.#names.has(path) ? null : diskError('ENOENT', path))
      if (problem === null) this.#change(parentOf(path), [[path, null]])
      complete(() => done(problem))
    })
  }

  syncDirectory(path: string, done: Done): void {
    this.#begin('syncDirectory', path, 0, (error, complete) => {
      const begun = this.#changes.filter((change) => change.directory === path)
      complete(() => {
        if (error === null) for (const change of begun) apply(this.#durableNames, change)
        this.#changes = this.#changes.filter((change) => !begun.includes(change))
        done(error)
      })
    })
  }

  makeDirectory(path: string, done: Done): void {
    this.#begin('makeDirectory', path, 0, (error, complete) => {
      if (error === null && !this.#names.has(path)) {
        this.#change(parentOf(path), [[path, 'directory']])
      }
      complete(() => done(error))
    })
  }

  #openFile(path: string, inode: Inode): DiskFile {
    return {
      write: (bytes, offset, { sync }, done) => {
        this.#begin(
          'write',
          path,
          bytes.length,
          (error, complete, fault) => {
            const grown = Math.max(0, offset + bytes.length - inode.sizeBytes)
            const room = this.capacityBytes - this.usedBytes
            const isFull = error === null && grown > room
            const taken = isFull ? Math.max(0, bytes.length - (grown - room)) : bytes.length
            const written = error === null ? taken : (fault?.writtenBytes ?? 0)
            const write = inode.write(offset, bytes.subarray(0, written))
            const problem = isFull ? diskError('ENOSPC', path) : error
            complete(() => {
              if (sync && problem === null) inode.settle([write])
              else if (sync) inode.forget([write])
              done(problem)
            })
          },
          sync,
        )
      },
      read: (offset, length, done) => {
        this.#begin('read', path, length, (error, complete) => {
          complete(() => done(error, inode.read(offset, error === null ? length : 0)))
        })
      },
      sync: (done) => {
        this.#begin('sync', path, 0, (error, complete) => {
          const begun = inode.pending()
          complete(() => {
            if (error === null) inode.settle(begun)
            else inode.forget(begun)
            done(error)
          })
        })
      },
      size: (done) => {
        this.#begin('size', path, 0, (error, complete) => {
          complete(() => done(error, inode.sizeBytes))
        })
      },
      close: (done) => {
        this.#begin('close', path, 0, (error, complete) => complete(() => done(error)))
      },
    }
  }

  /** Runs `effect` now, unless the machine has stopped; what it hands to `complete` runs later. */
  #begin(
    kind: DiskOperationKind,
    path: string,
    sizeBytes: number,
    effect: (
      error: Error | null,
      complete: (finish: () => void) => void,
      fault: DiskFault | null,
    ) => void,
    isSynced = false,
  ): void {
    if (this.isStopped) return
    this.steps += 1
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
    const operation = { kind, path, step: this.steps, sizeBytes, isSynced }
    const fault = this.fault(operation)
    const error = fault === null ? null : diskError(fault.code, path)
    const life = this.#life
    const complete = (finish: () => void): void => {
      if (this.isStopped) return
      this.#schedule(operation, () => {
        if (this.#life === life && !this.isStopped) finish()
      })
    }
    effect(error, complete, fault)
  }

  #change(directory: string, names: NameChange['names']): void {
    const change = { directory, names }
    this.#changes.push(change)
    apply(this.#names, change)
  }

  #find(path: string): Inode {
    const node = this.#names.get(path)
    if (!(node instanceof Inode)) throw new Error(`no file ${path}`)
    return node
  }

  /** False for what lies in a directory that was lost. */
  #isReachable(path: string): boolean {
    if (path === '') return true
    const parent = parentOf(path)
    return this.#durableNames.get(parent) === 'directory' && this.#isReachable(parent)
  }
}

function apply(names: Map<string, Node>, change: NameChange): void {
  for (const [path, node] of change.names) {
    if (node === null) names.delete(path)
    else names.set(path, node)
  }
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}

export function diskError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: simulated, '${path}'`), { code })
}
