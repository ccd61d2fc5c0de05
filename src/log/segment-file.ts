/** Makes a segment file: aside, full length, synced, renamed, directory synced. Then it exists. */
import type { Done } from '../base/ports.ts'
import type { DiskFile } from './disk.ts'
import { nameDraft, nameSegment } from './format.ts'
import type { LogConfig } from './options.ts'

/**
 * Zeros are written and synced in pieces: one large sync would hold up the appends that share the
 * disk with it.
 */
const CHUNK_BYTES = 512 * 1024
const ZEROS = new Uint8Array(CHUNK_BYTES)

export class Cancelled extends Error {
  override readonly name: string = 'Cancelled'
}

/**
 * Replaces a segment of the same number, if there is one. After an error there is no new file,
 * and what could be deleted of the attempt is.
 */
export function makeSegmentFile(
  config: LogConfig,
  seq: number,
  content: Uint8Array,
  isCancelled: () => boolean,
  done: Done,
): void {
  const { disk, directory } = config
  const draft = `${directory}/${nameDraft(seq)}`
  const giveUp = (error: Error): void => {
    disk.remove(draft, () => done(error))
  }
  disk.open(draft, 'create', (error, file) => {
    if (error !== null) return giveUp(error)
    fillFile(file, content, config.segmentBytes, isCancelled, (failure) => {
      file.close((closeFailure) => {
        const problem = failure ?? closeFailure
        if (problem !== null) return giveUp(problem)
        disk.rename(draft, `${directory}/${nameSegment(seq)}`, (renameFailure) => {
          if (renameFailure !== null) return giveUp(renameFailure)
          disk.syncDirectory(directory, done)
        })
      })
    })
  })
}

function fillFile(
  file: DiskFile,
  content: Uint8Array,
  sizeBytes: number,
  isCancelled: () => boolean,
  done: Done,
): void {
  const writePiece = (piece: Uint8Array, at: number): void => {
    if (isCancelled()) {
      done(new Cancelled('the log is closing'))
      return
    }
    file.write(piece, at, { sync: false }, (error) => {
      if (error !== null) return done(error)
      file.sync((syncError) => {
        const end = at + piece.length
        if (syncError !== null || end >= sizeBytes) return done(syncError)
        writePiece(ZEROS.subarray(0, Math.min(CHUNK_BYTES, sizeBytes - end)), end)
      })
    })
  }
  writePiece(content, 0)
}
