import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { isColmenaError } from '../index.ts'
import type { BackupObject, BackupTarget, TargetCall } from './target.ts'

export const MIB = 1_048_576
/** Far beyond what any call here takes: only one that never ends waits for it. */
const HANG_MS = 120_000
const AT_ONCE_MAX = 16

/** A target under test, and names in it that no other case uses. */
export class Rig {
  readonly target: BackupTarget
  /** Ends with a slash. */
  readonly folder: string = `target-test-${randomUUID()}/`

  constructor(target: BackupTarget) {
    this.target = target
  }

  name(rest: string): string {
    return this.folder + rest
  }

  async put(rest: string, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    const isPut = await inTime('put', this.target.put(this.name(rest), content))
    assert.equal(isPut, true, 'put without ifAbsent resolves with true')
  }

  async putIfAbsent(
    rest: string,
    content: Uint8Array | AsyncIterable<Uint8Array>,
  ): Promise<boolean> {
    const call = { ifAbsent: true }
    return await inTime('put', this.target.put(this.name(rest), content, call))
  }

  async get(rest: string, call?: TargetCall): Promise<Uint8Array> {
    return await inTime('get', gather(this.target.get(this.name(rest), call)))
  }

  async list(rest = ''): Promise<BackupObject[]> {
    return await inTime('list', drain(this.target.list(this.name(rest))))
  }

  async names(rest = ''): Promise<string[]> {
    return (await this.list(rest)).map(({ name }) => name.slice(this.folder.length))
  }

  async delete(rest: string): Promise<void> {
    await inTime('delete', this.target.delete(this.name(rest)))
  }

  async assertHolds(rest: string, expected: Uint8Array, what: string): Promise<void> {
    assertSame(await this.get(rest), expected, what)
  }

  async assertMissing(rest: string, what: string): Promise<void> {
    await rejects(this.get(rest), 'ERR_NOT_FOUND', what)
    assert.ok(!(await this.names()).includes(rest), `${what}: a list still has it`)
  }
}

/** Without a deadline a target that never answers would be told by no test. */
export async function inTime<T>(what: string, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const message = `${what} did not end within ${HANG_MS / 1_000} s`
  const timer = setTimeout(() => late.reject(new assert.AssertionError({ message })), HANG_MS)
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Runs it for each, some at once. */
export async function each<T>(
  values: readonly T[],
  run: (value: T) => Promise<unknown>,
): Promise<void> {
  const left = values.values()
  const work = async (): Promise<void> => {
    for (const value of left) await run(value)
  }
  await Promise.all(Array.from({ length: AT_ONCE_MAX }, work))
}

export async function rejects(
  promise: Promise<unknown>,
  code: string,
  what: string,
): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason ?? new Error('nothing was thrown'),
  )
  if (error === undefined) assert.fail(`${what}: did not reject`)
  if (isColmenaError(error) && error.code === code) return
  assert.fail(`${what}: rejects with ${String(error)}, not with a ColmenaError ${code}`)
}

async function gather(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return Buffer.concat(await drain(pieces))
}

/** Megabytes that differ are no message that anybody reads. */
export function assertSame(actual: Uint8Array, expected: Uint8Array, what: string): void {
  if (Buffer.compare(actual, expected) === 0) return
  const at = expected.findIndex((byte, index) => byte !== actual[index])
  const where = at < 0 ? expected.length : at
  const sizes = `${actual.length} bytes where ${expected.length} were put`
  assert.fail(`${what}: ${sizes}, different from byte ${where}`)
}

/** The same bytes for the same seed; no piece of them looks like another. */
export function bytesOf(sizeBytes: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes)
  let state = (seed * 2_654_435_761 + 1) >>> 0
  for (let at = 0; at < sizeBytes; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    bytes[at] = state >>> 24
  }
  return bytes
}

/** In pieces of sizes that no part or block has. */
export async function* piecesOf(
  content: Uint8Array,
  pieceBytes = 77_777,
): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < content.length; at += pieceBytes) {
    yield content.slice(at, at + pieceBytes)
  }
}

export async function drain<T>(values: AsyncIterable<T>): Promise<T[]> {
  const drained: T[] = []
  for await (const value of values) drained.push(value)
  return drained
}
