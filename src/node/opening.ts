import type { SharedState } from '../base/shared-state.ts'
import type { StorageWorkerData } from '../database/database.ts'
import type { EngineOpening } from '../engine/engine.ts'
import type { OpenConfig } from './config.ts'
import type { DataDir } from './data-dir.ts'
import type { NodeEvents } from './events.ts'

/** What the storage thread is started with. */
export function storageData(
  config: OpenConfig,
  dataDir: DataDir,
  { generation, genesis }: Extract<EngineOpening, { kind: 'startStorage' }>,
  ownOrigin: string,
  shared: SharedState,
): Omit<StorageWorkerData, 'enginePort'> {
  return {
    dataDir: dataDir.path,
    generation,
    genesis,
    slowMs: config.slowMs,
    changesBytesMax: config.changesBytesMax,
    memberId: dataDir.identity.memberId,
    ownOrigin,
    shared: shared.buffer,
    writer: { extensions: config.extensions },
  }
}

/** What an open of a relaxed node says each time; it is never what one gets without asking. */
export const RELAXED_WARNING: NodeEvents['warning'][0] = {
  code: 'ERR_RELAXED',
  message:
    "durability is 'relaxed': this node acknowledges up to 100 ms before what it holds is on the " +
    'disk. Where it stops without being closed, that may be lost: a new member takes its place, ' +
    'or, if it is alone, what it had acknowledged last is gone',
}
