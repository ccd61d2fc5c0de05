import type { ClusterNode } from '../cluster/cluster.ts'

/** What a machine is stopped with: Fly.io sends the one that `kill_signal` of `fly.toml` names. */
const SIGNALS = ['SIGINT', 'SIGTERM'] as const
/** A statement that runs on a thread can't be ended, and would hold up the exit. */
const EXIT_MS_MAX = 8_000

/** Has the first signal let a node leave, and its process end. */
export function leaveAtSignals(cluster: ClusterNode): void {
  const heard = (): void => {
    for (const signal of SIGNALS) process.off(signal, heard)
    const late = setTimeout(() => process.kill(process.pid, 'SIGKILL'), EXIT_MS_MAX)
    void cluster.leave().finally(() => {
      clearTimeout(late)
      process.exit(0)
    })
  }
  for (const signal of SIGNALS) process.on(signal, heard)
  cluster.node.once('closed', () => {
    for (const signal of SIGNALS) process.off(signal, heard)
  })
}
