import { ColmenaError } from '../base/errors.ts'

/** A member that the configuration names no more: the cluster goes on without what it holds. */
export function removedError(nodeId: string): ColmenaError {
  return new ColmenaError(
    'ERR_REMOVED',
    `the cluster has removed node '${nodeId}', or another one that joined under its name or ` +
      'address has taken its place. Delete its data directory and let it join again',
    { outcome: 'unknown' },
  )
}
