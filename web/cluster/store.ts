/** What the page knows of its node and of the cluster, as `GET /events` tells it. */
import type { BackupStatus } from '../../src/backup/backup.ts'
import type { MemberStatus, NodeStatus } from '../../src/index.ts'
import { followStream, type Link } from '../shared/stream.ts'
import { makeHeaders } from './api.ts'

export interface SlowStatement {
  readonly at: number
  readonly database: string
  readonly sql: string
  readonly durationMs: number
  readonly kind: 'read' | 'write'
  readonly index: number | null
}

export interface ClusterView {
  readonly link: Link
  readonly lastHeard: number | null
  readonly status: NodeStatus | null
  readonly members: readonly MemberStatus[]
  /** null where the server has none. */
  readonly backup: BackupStatus | null
  /** Since the page is open, the newest first. */
  readonly slow: readonly SlowStatement[]
  readonly warnings: readonly {
    readonly at: number
    readonly code: string
    readonly message: string
  }[]
}

const listedMax = 200
const silenceMsMax = 20_000

export const nothing: ClusterView = {
  link: { state: 'connecting' },
  lastHeard: null,
  status: null,
  members: [],
  backup: null,
  slow: [],
  warnings: [],
}

/** Follows the node until `signal` is aborted. */
export function followCluster(
  token: string | null,
  changed: (view: ClusterView) => void,
  signal: AbortSignal,
): void {
  let view = nothing
  const update = (part: Partial<ClusterView>): void => {
    view = { ...view, ...part }
    changed(view)
  }
  void followStream({
    url: 'events',
    headers: makeHeaders(token),
    silenceMsMax,
    signal,
    link: (link) => update({ link }),
    event: (name, data) => update({ ...applyEvent(view, name, data), lastHeard: Date.now() }),
  })
}

function applyEvent(view: ClusterView, name: string, data: unknown): Partial<ClusterView> {
  const at = Date.now()
  if (name === 'status') return data as Pick<ClusterView, 'status' | 'members' | 'backup'>
  if (name === 'slow') {
    const slow = [{ ...(data as Omit<SlowStatement, 'at'>), at }, ...view.slow]
    return { slow: slow.slice(0, listedMax) }
  }
  if (name === 'warning') {
    const warnings = [{ ...(data as { code: string; message: string }), at }, ...view.warnings]
    return { warnings: warnings.slice(0, listedMax) }
  }
  return {}
}
