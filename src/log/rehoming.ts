/** Segments whose cluster goes on as another one: their records stay, their headers change. */
import type { Done } from '../base/ports.ts'
import type { Disk, DiskFile } from './disk.ts'
import { decodeHeader, encodeHeader, HEADER_BYTES, nameSegment } from './format.ts'
import { forEachInOrder } from './in-order.ts'
import type { LogOptions } from './options.ts'
import { listLogFiles } from './recovery.ts'

/**
 * Gives a closed log, which opened before, to another cluster. Records are checked by what is in
 * them and by their segment's salt alone, so they are as valid there. A crash in the midst leaves
 * segments of both clusters, which open as neither: work on a copy.
 */
export function rehomeLog(
  { disk, directory }: Pick<LogOptions, 'disk' | 'directory'>,
  clusterId: Uint8Array,
  done: Done,
): void {
  listLogFiles(disk, directory, (error, { seqs }) => {
    if (error !== null) return done(error)
    const rehome = (seq: number, next: Done): void =>
      rehomeSegment(disk, `${directory}/${nameSegment(seq)}`, clusterId, next)
    forEachInOrder(seqs, rehome, done)
  })
}

function rehomeSegment(disk: Disk, path: string, clusterId: Uint8Array, done: Done): void {
  disk.open(path, 'write', (error, file) => {
    if (error !== null) return done(error)
    rehomeSegmentFile(file, path, clusterId, (failure) => {
      file.close((closeFailure) => done(failure ?? closeFailure))
    })
  })
}

function rehomeSegmentFile(file: DiskFile, path: string, clusterId: Uint8Array, done: Done): void {
  file.read(0, HEADER_BYTES, (error, bytes) => {
    if (error !== null) return done(error)
    const header = decodeHeader(Buffer.from(bytes))
    if (header === null || 'newerVersion' in header) {
      return done(new Error(`${path} is no segment that was opened before`))
    }
    file.write(encodeHeader({ ...header, clusterId }), 0, { sync: true }, done)
  })
}
