import { ColmenaError } from '../base/errors.ts'
import type { MemberRecord } from '../command/command.ts'
import type { ConfState } from '../raft/types.ts'
import { generationPath, readDivergence, requireGeneration } from './generation.ts'
import { closeFiles, lowestOf, openGeneration, writerOpener } from './generation-files.ts'
import { guardOwn, withDataDirErrors } from './trouble.ts'

/** Where the databases of a node that is closed stand. */
export interface Standing {
  /** Every entry up to here is in every database. */
  readonly applied: number
  /** Of the database that is furthest. */
  readonly highestApplied: number
  readonly confState: ConfState
  /** The index of the entry that made {@link confState} what it is. */
  readonly confIndex: number
  readonly members: readonly MemberRecord[]
  /** Why they may differ from the other members', null if nothing is known of it. */
  readonly divergence: string | null
}

const PUT_CLUSTER = 'UPDATE _colmena_conf SET cluster = ?'

/**
 * Opens the databases of a generation as a node does, and closes them again. Nobody may have them
 * open.
 *
 * @throws ColmenaError ERR_DATA_DIR, ERR_UNSUPPORTED_FORMAT
 */
export function readStanding(directory: string, generation: number): Standing {
  const path = requireGeneration(directory, generation)
  return withDataDirErrors(() => {
    const files = openGeneration(path, writerOpener({}))
    try {
      const { system } = files
      const all = [system.file, ...files.files.values()]
      return {
        applied: lowestOf(files).applied,
        highestApplied: Math.max(...all.map(({ applied }) => applied)),
        confState: system.confState,
        confIndex: system.confIndex,
        members: [...system.members.values()],
        divergence: readDivergence(path)?.reason ?? null,
      }
    } finally {
      closeFiles(files)
    }
  })
}

/**
 * Gives the databases of a generation to another cluster. They are at no other entry than before:
 * what the log has beyond that is still to be applied. Nobody may have them open.
 *
 * @throws ColmenaError ERR_DATA_DIR
 */
export function rehomeDatabases(directory: string, generation: number, clusterId: string): void {
  const path = generationPath(directory, generation)
  withDataDirErrors(() => {
    const files = openGeneration(path, writerOpener({}))
    try {
      const { writer } = files.system.file
      guardOwn(writer, writer.path, () => {
        writer.begin()
        const { changes } = writer.own(PUT_CLUSTER).run(clusterId)
        writer.commit()
        if (Number(changes) === 1) return
        throw new ColmenaError('ERR_DATA_DIR', `${writer.path} belongs to no cluster`)
      })
    } finally {
      closeFiles(files)
    }
  })
}
