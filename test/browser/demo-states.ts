/** States of the demo that a visitor can meet, each as its server would tell it. */
import type {
  ChartPoint,
  DemoEvents,
  DemoState,
  EventRow,
  LogRow,
  NodeCard,
  WriteRow,
} from '../../src/demo/protocol.ts'

/** A fixed moment, so that pictures of two runs can be compared. */
const now = Date.now()

function wave(at: number, base: number): number {
  return Math.max(0, Math.round(base + base * 0.2 * Math.sin(at / 4) + base * 0.1 * Math.sin(at)))
}

export function makeNode(id: string, change: Partial<NodeCard> = {}): NodeCard {
  return {
    id,
    role: 'follower',
    isRunning: true,
    isCutOff: false,
    term: 11,
    leaderId: 'node-1',
    commitIndex: 128_412,
    appliedIndex: 128_412,
    targetIndex: 128_412,
    lagEntries: 0,
    lagMs: 0,
    startedAt: now - 754_000,
    memoryBytes: 84_300_000,
    appliedPerSecond: Array.from({ length: 60 }, (_, at) => wave(at, 48)),
    story: 'Follower of node-1.',
    ...change,
  }
}

const leader: NodeCard = makeNode('node-1', { role: 'leader', story: 'Leads the other three.' })
const learner: NodeCard = makeNode('node-4', {
  role: 'learner',
  story: 'Learner: gets every write, has no vote.',
})

export const whole: DemoState = {
  site: 'processes',
  nodes: [leader, makeNode('node-2'), makeNode('node-3'), learner],
  tally: { acknowledged: 12_480, everywhere: 12_480, lost: 0, duplicated: 0, longestPauseMs: 212 },
  controls: { ratePerSecond: 50, breakEverySeconds: 0, isPaused: false },
  notice: null,
  levels: [
    { level: 'none', p50Ms: 0.04 },
    { level: 'lease', p50Ms: 0.05 },
    { level: 'weak', p50Ms: 0.61 },
    { level: 'strong', p50Ms: 0.93 },
  ],
}

export const catchingUp: DemoState = {
  ...whole,
  nodes: [
    leader,
    makeNode('node-2', {
      appliedIndex: 127_172,
      lagEntries: 1_240,
      lagMs: 812,
      startedAt: now - 1_000,
      appliedPerSecond: Array.from({ length: 60 }, (_, at) => (at < 40 ? wave(at, 48) : 0)),
      story: 'Behind by 1,240 entries, catching up.',
    }),
    makeNode('node-3', {
      role: 'candidate',
      isCutOff: true,
      story: 'Cut off: asks for votes, hears nobody.',
    }),
    learner,
  ],
  tally: { ...whole.tally, everywhere: 11_240 },
}

export const twoDown: DemoState = {
  ...whole,
  nodes: ['node-1', 'node-2']
    .map((id) =>
      makeNode(id, {
        role: 'gone',
        isRunning: false,
        leaderId: null,
        startedAt: null,
        lagEntries: 420,
        appliedPerSecond: Array.from({ length: 60 }, (_, at) => (at < 50 ? 48 : 0)),
        story: 'Killed. Starts again in 3 s.',
      }),
    )
    .concat([
      makeNode('node-3', { leaderId: null, story: 'No majority: waits for another voter.' }),
      { ...learner, leaderId: null },
    ]),
  notice: {
    title: 'Two of three voters are down: writes wait.',
    text:
      'One voter alone can’t know what a majority has. Writes go on once a second one is back; ' +
      'reads of level none work all the time.',
  },
  levels: [
    { level: 'none', p50Ms: 0.04 },
    { level: 'lease', p50Ms: null },
    { level: 'weak', p50Ms: null },
    { level: 'strong', p50Ms: null },
  ],
}

export const alarm: DemoState = {
  ...whole,
  tally: { ...whole.tally, lost: 1, duplicated: 2 },
}

const texts = ['Ada was here', 'one more visit', 'a purple elephant', 'tea at five', 'Hola, abejas']

/** Four machines of Fly.io, with ids as it gives them. */
export const machines: DemoState = {
  ...whole,
  site: 'machines',
  nodes: whole.nodes.map((node, at) => ({
    ...node,
    id: `e784079b4494${at + 1}8`,
    leaderId: 'e784079b449418',
  })),
}

export function makeWrite(key: number, change: Partial<WriteRow> = {}): WriteRow {
  const committedMs = 1.2 + (key % 7) * 0.4
  return {
    kind: 'write',
    key,
    at: now - (200 - key) * 700,
    text: texts[key % texts.length] ?? '',
    receivedBy: `node-${(key % 4) + 1}`,
    appliedBy: 'node-1',
    index: 128_212 + key,
    term: 11,
    committedMs,
    appliedMs: committedMs + 0.6,
    everywhereMs: committedMs + 2.4 + (key % 5),
    outcome: 'acknowledged',
    error: null,
    ...change,
  }
}

export function makeEvent(key: number, text: string): EventRow {
  return { kind: 'event', key, at: now - (200 - key) * 700, text }
}

const events: ReadonlyMap<number, string> = new Map([
  [168, 'node-3 cut off from the others.'],
  [172, 'node-3 joined again.'],
  [184, 'node-2 killed.'],
  [186, 'node-1 elected in term 11, 210 ms without a leader.'],
  [191, 'node-2 is level again after 2.1 s.'],
])

export const rows: readonly LogRow[] = Array.from({ length: 200 }, (_, at) => {
  const key = 200 - at
  const event = events.get(key)
  if (event !== undefined) return makeEvent(key, event)
  if (key === 200) {
    return makeWrite(key, {
      appliedBy: null,
      index: null,
      term: null,
      committedMs: null,
      appliedMs: null,
      everywhereMs: null,
      outcome: 'pending',
    })
  }
  if (key === 199) return makeWrite(key, { everywhereMs: null })
  if (key === 197) return makeWrite(key, { text: '<img src=x onerror=alert(1)> & "quotes"' })
  if (key === 195) return makeWrite(key, { text: `${'long words '.repeat(17)}and an end` })
  if (key === 185) return makeWrite(key, { committedMs: 312, appliedMs: 314, everywhereMs: 2_140 })
  if (key === 183) {
    return makeWrite(key, {
      appliedBy: null,
      index: null,
      term: null,
      committedMs: null,
      appliedMs: null,
      everywhereMs: null,
      outcome: 'unknown',
      error: 'the node died while it waited.',
    })
  }
  return makeWrite(key)
})

const faults: ReadonlyMap<number, string> = new Map([
  [80, 'node-2 killed'],
  [140, 'node-3 cut off'],
  [152, 'node-3 joined again'],
  [230, 'node-1 killed'],
  [236, 'node-1 elected in term 11'],
  [285, 'node-4 killed'],
])

export const points: readonly ChartPoint[] = Array.from({ length: 300 }, (_, at) => {
  const fault = faults.get(at)
  const isPause = at >= 230 && at < 233
  return {
    at: now - (300 - at) * 1_000,
    writesPerSecond: isPause ? 0 : wave(at, 50),
    p50Ms: isPause ? null : 2 + Math.sin(at / 9) * 0.4,
    p99Ms: isPause ? null : at === 233 ? 1_900 : 8 + Math.sin(at / 5) * 3,
    faults: fault === undefined ? [] : [fault],
  }
})

export function hello(state: DemoState): DemoEvents['hello'] {
  return { state, rows, points }
}

export const bench = {
  machine: '2 x AMD EPYC, 24 GiB, Node.js 24.21.0',
  date: '2026-11-25',
  commit: 'ee63a9d',
  figures: {
    'write.cluster.1.perSecond': 760,
    'write.cluster.4.perSecond': 1_859,
    'write.cluster.32.perSecond': 13_001,
    'write.cluster.128.perSecond': 31_993,
    'write.cluster.256.perSecond': 47_993,
    'write.single.1.perSecond': 1_631,
  },
} as const
