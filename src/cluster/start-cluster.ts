import { ColmenaError, isColmenaError, open } from '../index.ts'
import { ClusterNode } from './cluster-node.ts'
import type { Discovery } from './discovery.ts'
import { Finding } from './finding.ts'
import { CLUSTER_OPTIONS, type ClusterConfig, type PassedOptions } from './options.ts'
import type { OwnAddress } from './own-address.ts'
import { Steward } from './steward.ts'

/**
 * Opens a node that finds its cluster by a discovery, or begins it with those that are found. Every
 * node joins as a learner; who votes is the leader's steward's business. The discovery is closed
 * with the node, and where it does not open.
 *
 * @throws ColmenaError as `open`
 */
export async function startCluster(
  discovery: Discovery,
  address: OwnAddress,
  { policy, stewardMs, onSelfHeal, open: passed }: ClusterConfig,
): Promise<ClusterNode> {
  const finding = new Finding(discovery, address.advertise)
  try {
    const options = { ...passed, ...address, join: finding.source, joinAs: 'learner' } as const
    const node = await open(options)
    const { logger } = passed
    const steward = new Steward({
      node,
      policy,
      isFound: (other) => finding.isFound(other),
      everyMs: stewardMs,
      nowMs: () => performance.now(),
      did: (reason) => logger?.info?.(reason),
      failed: (reason, cause) => {
        const code = isColmenaError(cause) ? cause.code : 'ERR_FAILED'
        const message = `the members of the cluster could not be looked after: ${reason}`
        logger?.warn?.(message)
        node.emit('warning', { code, message })
      },
    })
    steward.start()
    node.once('closed', ({ cause }) => {
      if (isColmenaError(cause) && cause.code === 'ERR_REMOVED') onSelfHeal?.(cause)
    })
    return new ClusterNode({ node, discovery, steward })
  } catch (error) {
    await discovery.close()
    throw error
  }
}

/**
 * Refuses what `open` would refuse, before anything is touched. `own` is what this way to start a
 * node takes beside what all of them take.
 *
 * @throws ColmenaError ERR_INVALID_OPTION, ERR_WEAK_SECRET
 */
export async function checkOptions(passed: PassedOptions, own: readonly string[]): Promise<void> {
  // It checks all before it looks at its signal, and at that before it touches anything.
  const checked = { ...passed, join: (): string[] => [], signal: AbortSignal.abort() }
  try {
    await open(checked)
  } catch (error) {
    if (!isColmenaError(error) || error.code !== 'ERR_ABORTED') throw named(error, own)
  }
}

/** `open` knows its own options alone, and takes a misspelt one of ours for one of its own. */
function named(error: unknown, own: readonly string[]): unknown {
  if (!isColmenaError(error) || !error.message.startsWith('unknown option')) return error
  const ours = [...own, ...CLUSTER_OPTIONS].join(', ')
  const message = `${error.message} (those of open; here there are also ${ours})`
  return new ColmenaError('ERR_INVALID_OPTION', message, { cause: error })
}
