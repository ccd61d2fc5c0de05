import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { BackupTarget } from '../../src/backup/backup.ts'
import { Keys } from '../../src/backup/keys.ts'
import type { Wanted } from '../../src/backup/points.ts'
import { replayBackup } from '../../src/backup/restoring.ts'
import { Store } from '../../src/backup/store.ts'
import { open, openReplay } from '../../src/index.ts'
import { contentOfNode, DATABASES, digestContent } from './random-deeds.ts'
import type { Content } from './random-model.ts'

export interface RestoredAt {
  readonly index: number
  readonly content: Content
}

/** Restores to files, and reads them. */
export async function readRestored(target: BackupTarget, wanted: Wanted): Promise<RestoredAt> {
  const directory = mkdtempSync(join(tmpdir(), 'colmena-restored-'))
  const copies = join(directory, 'db', '1')
  try {
    const store = new Store(target, new Keys(undefined))
    const openIt = () => openReplay({ directory })
    const { replay, index } = await replayBackup(store, { copies, openReplay: openIt, wanted })
    await replay.close()
    return { index, content: contentOfFiles(copies) }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function contentOfFiles(directory: string): Content {
  // One that was dropped is not there until it is made again.
  const names = DATABASES.filter((name) => existsSync(join(directory, `${name}.db`)))
  const digests = names.map((name) => {
    const db = new DatabaseSync(join(directory, `${name}.db`), { readOnly: true })
    try {
      return [name, digestContent((sql) => db.prepare(sql).all())]
    } finally {
      db.close()
    }
  })
  return Object.fromEntries(digests)
}

/** Restores by `open`, and asks the node that it gave. */
export async function restoreByNode(target: BackupTarget, wanted: Wanted): Promise<RestoredAt> {
  const dataDir = mkdtempSync(join(tmpdir(), 'colmena-restored-'))
  const to = wanted.kind === 'latest' ? undefined : 'index' in wanted ? wanted : wanted.timeMs
  let index = 0
  const logger = {
    info: (message: string): void => {
      index = Number(/^restored up to entry (\d+)/.exec(message)?.[1] ?? index)
    },
  }
  const point = typeof to === 'object' ? { index: to.index } : to
  try {
    const restore = { from: target, to: point }
    const node = await open({ dataDir, nodeId: 'anew', restore, logger })
    try {
      return { index, content: contentOfNode(node, await node.databases()) }
    } finally {
      await node.close()
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}
