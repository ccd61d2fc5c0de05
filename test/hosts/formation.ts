/** Starts a node that finds its cluster, in a process that was told how. */
import type { ClusterNode } from '../../src/cluster/cluster.ts'
import { type DnsOptions, startDns } from '../../src/dns/dns.ts'
import { type FlyOptions, fromEnv, startFly } from '../../src/fly/fly.ts'
import type { LanOptions } from '../../src/lan/lan.ts'
import { type LanInternals, startLanWith } from '../../src/lan/start-lan.ts'

export type Formation =
  | { readonly by: 'lan'; readonly options: LanOptions; readonly internals: LanInternals }
  /** As the environment says it, and these. */
  | { readonly by: 'fly'; readonly options: Partial<FlyOptions> }
  | { readonly by: 'dns'; readonly options: DnsOptions }

export function startFormation(formation: Formation): Promise<ClusterNode> {
  switch (formation.by) {
    case 'lan':
      return startLanWith(formation.options, formation.internals)
    case 'fly':
      return startFly({ ...fromEnv(), ...formation.options })
    case 'dns':
      return startDns(formation.options)
  }
}
