/** What the page knows, and how it asks for something; everything shown comes from here. */
import type {
  ChartPoint,
  Controls,
  DemoError,
  DemoEvents,
  DemoState,
  LogRow,
  WriteRequest,
} from '../../src/demo/protocol.ts'
import { followStream, type Link, whileSeen } from '../shared/stream.ts'

export interface DemoView {
  readonly link: Link
  /** When the server was last heard; null before the first time. */
  readonly lastHeard: number | null
  readonly state: DemoState | null
  /** The newest first. */
  readonly rows: readonly LogRow[]
  /** The oldest first, at most five minutes. */
  readonly points: readonly ChartPoint[]
  /** For each node, the most it was behind since it was last level. */
  readonly mostBehind: ReadonlyMap<string, number>
  /** Why the last request was refused. */
  readonly refusal: string | null
}

export type NodeAction = 'restart' | 'cut' | 'join' | 'step-down'

export interface DemoStore {
  write(request: WriteRequest): void
  act(node: string, action: NodeAction): void
  control(controls: Partial<Controls>): void
  reset(): void
}

/** Of each kind, so that many writes don't push out the few faults. */
const writeRowsMax = 150
const eventRowsMax = 100
const pointsMax = 300
const silenceMsMax = 5_000
const answerMsMax = 10_000
const refusalShownMs = 8_000
/** Under load a node is always a few entries behind; so long it counts as level. */
const levelLagMsMax = 500

const nothing: DemoView = {
  link: { state: 'connecting' },
  lastHeard: null,
  state: null,
  rows: [],
  points: [],
  mostBehind: new Map(),
  refusal: null,
}

/** Follows the server until `signal` is aborted, and tells `changed` at most once a frame. */
export function openStore(changed: (view: DemoView) => void, signal: AbortSignal): DemoStore {
  let view = nothing
  let isDue = false
  const update = (part: Partial<DemoView>): void => {
    view = { ...view, ...part }
    if (isDue) return
    isDue = true
    requestAnimationFrame(() => {
      isDue = false
      if (!signal.aborted) changed(view)
    })
  }
  const event = (name: string, data: unknown): void => {
    update({ ...applyEvent(view, name as keyof DemoEvents, data), lastHeard: Date.now() })
  }
  const link = (next: Link): void => update({ link: next })
  whileSeen(signal, (seen) => {
    void followStream({ url: 'api/events', silenceMsMax, signal: seen, event, link })
  })

  let refusals = 0
  const post = async (path: string, body?: unknown): Promise<void> => {
    const refusal = await request(path, body)
    refusals += 1
    const own = refusals
    update({ refusal })
    if (refusal === null) return
    setTimeout(() => {
      if (own === refusals) update({ refusal: null })
    }, refusalShownMs)
  }
  return {
    write: (body) => void post('api/write', body),
    act: (node, action) => void post(`api/nodes/${encodeURIComponent(node)}/${action}`),
    control: (controls) => void post('api/controls', controls),
    reset: () => void post('api/reset'),
  }
}

/** Posts, and gives the reason in one sentence if that was refused. */
async function request(path: string, body: unknown): Promise<string | null> {
  try {
    const response = await fetch(path, {
      method: 'POST',
      signal: AbortSignal.timeout(answerMsMax),
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (response.ok) return null
    const { error } = (await response.json()) as DemoError
    return error.message
  } catch {
    return 'The demo did not answer.'
  }
}

/** What an event changes; one that this page does not know changes nothing. */
export function applyEvent(
  view: DemoView,
  name: keyof DemoEvents,
  data: unknown,
): Partial<DemoView> {
  switch (name) {
    case 'hello': {
      const { state, rows, points } = data as DemoEvents['hello']
      return {
        state,
        rows: boundRows(rows),
        points: points.slice(-pointsMax),
        ...measure(view, state),
      }
    }
    case 'state': {
      const state = data as DemoEvents['state']
      return { state, ...measure(view, state) }
    }
    case 'rows':
      return { rows: mergeRows(view.rows, data as DemoEvents['rows']) }
    case 'point':
      return { points: [...view.points, data as DemoEvents['point']].slice(-pointsMax) }
    case 'reset':
      return { rows: [], points: [], mostBehind: new Map() }
    default:
      return {}
  }
}

function mergeRows(old: readonly LogRow[], changed: readonly LogRow[]): LogRow[] {
  const byKey = new Map(old.map((row) => [row.key, row]))
  for (const row of changed) byKey.set(row.key, row)
  return boundRows([...byKey.values()].sort((a, b) => b.key - a.key))
}

function boundRows(rows: readonly LogRow[]): LogRow[] {
  const room = { write: writeRowsMax, event: eventRowsMax }
  return rows.filter(({ kind }) => room[kind]-- > 0)
}

/** A bar shows how much of the gap is closed, hence what the gap was at its widest. */
function measure(view: DemoView, state: DemoState): Pick<DemoView, 'mostBehind'> {
  const mostBehind = new Map<string, number>()
  for (const node of state.nodes) {
    const before = view.mostBehind.get(node.id) ?? 0
    mostBehind.set(node.id, isLevel(node) ? 0 : Math.max(before, node.lagEntries))
  }
  return { mostBehind }
}

export function isLevel(node: DemoState['nodes'][number]): boolean {
  if (!node.isRunning || node.isCutOff) return node.lagEntries === 0
  return node.lagEntries === 0 || node.lagMs <= levelLagMsMax
}
