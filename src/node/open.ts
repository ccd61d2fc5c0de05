import { randomBytes } from 'node:crypto'
import { probeExtensions, requireSqlite } from '../sqlite/sqlite.ts'
import { ColmenaNode } from './colmena-node.ts'
import { checkOpenOptions } from './config.ts'
import { openDataDir } from './data-dir.ts'
import { checkNotAborted } from './failures.ts'
import { NodeCore } from './node-core.ts'
import type { OpenOptions } from './options.ts'
import { restoreFirst } from './restore-node.ts'
import { requireEntries, type StartThread, startWorker } from './threads.ts'

/**
 * Opens a node, and resolves when it serves local reads; `node.waitForLeader()` is a wait of its
 * own. The same call opens it again later: `bootstrap` and `join` count only where the data
 * directory holds no cluster yet. A failure leaves nothing open.
 *
 * @throws ColmenaError ERR_INVALID_OPTION, ERR_WEAK_SECRET, ERR_EXTENSION_FAILED and ERR_BUNDLED
 * before anything is touched; ERR_UNSUPPORTED_RUNTIME, ERR_DATA_DIR, ERR_LOCKED, ERR_ALREADY_OPEN,
 * ERR_UNSUPPORTED_FORMAT, ERR_ADDRESS_IN_USE, ERR_JOIN_FAILED, ERR_NODE_ID_TAKEN,
 * ERR_OTHER_CLUSTER, ERR_OTHER_EXTENSIONS, ERR_LOG_CORRUPT, ERR_ABORTED; with `restore` what that
 * fails with, such as ERR_TARGET and ERR_BACKUP_DAMAGED.
 * @example
 * await using node = await open({ dataDir: './data' })
 * const db = node.database()
 * await db.execute('CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value TEXT)')
 */
export async function open(options: OpenOptions): Promise<ColmenaNode> {
  requireEntries()
  return openNode(options, startWorker)
}

/** {@link open} with threads of another make; for tests. */
export async function openNode(
  options: OpenOptions,
  startThread: StartThread,
): Promise<ColmenaNode> {
  requireSqlite()
  const config = checkOpenOptions(options)
  checkNotAborted(config.signal)
  probeExtensions(config.extensions)
  const dataDir = openDataDir(config, await restoreFirst(config))
  const origin = randomBytes(16).toString('hex')
  return ColmenaNode.open((emit) => new NodeCore({ config, dataDir, origin, startThread, emit }))
}
