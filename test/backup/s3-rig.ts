import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import type { TestContext } from 'node:test'
import type { BackupTarget } from '../../src/backup/backup.ts'
import { type S3TargetOptions, s3Target } from '../../src/backup/s3.ts'
import { BUCKET, type Fault, KEY, S3Server, type S3ServerOptions, SECRET } from './s3-server.ts'

export async function startServer(t: TestContext, options?: S3ServerOptions): Promise<S3Server> {
  const server = new S3Server(options)
  await server.listen()
  t.after(() => server.close())
  return server
}

export function targetOf(
  t: TestContext,
  server: S3Server,
  options: Partial<S3TargetOptions> = {},
): BackupTarget {
  const { credentials } = options
  const keys = credentials === undefined ? { accessKeyId: KEY, secretAccessKey: SECRET } : {}
  const target = s3Target({
    bucket: BUCKET,
    endpoint: server.endpoint,
    pathStyle: true,
    ...keys,
    ...options,
  })
  t.after(() => target.close())
  return target
}

/** Faults of the first requests of a kind, one after the other. */
export function failFirst(server: S3Server, kind: string, ...faults: readonly Fault[]): void {
  const left = [...faults]
  server.fault = (seen) => (seen.kind === kind ? left.shift() : undefined)
}

export async function readAll(target: BackupTarget, name: string): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of target.get(name)) pieces.push(piece)
  return Buffer.concat(pieces)
}

export async function namesIn(target: BackupTarget, prefix = ''): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of target.list(prefix)) names.push(name)
  return names
}

export async function* inPieces(
  content: Uint8Array,
  pieceBytes = 99_999,
): AsyncIterable<Uint8Array> {
  for (let at = 0; at < content.length; at += pieceBytes) {
    yield content.subarray(at, at + pieceBytes)
  }
}

/** What is tried again waits for a moment only: chance has it so. */
export function hurry(t: TestContext): void {
  t.mock.method(crypto, 'randomInt', () => 1)
  syncBuiltinESMExports()
  t.after(() => {
    t.mock.restoreAll()
    syncBuiltinESMExports()
  })
}
