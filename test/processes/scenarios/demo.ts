import assert from 'node:assert/strict'
import { type RunningDemo, runDemo } from '../../../src/demo/demo.ts'
import type { NodeCard } from '../../../src/demo/protocol.ts'
import { Visitor } from '../../demo/visitor.ts'
import { until } from '../wait.ts'

export interface DemoForm {
  readonly durationMs: number
  readonly ratePerSecond: number
  readonly breakEverySeconds: number
  /** From when on memory may grow by a fifth at most; null where the run is too short to tell. */
  readonly memoryFromMs: number | null
}

/** Memory is looked at over so long: a process that was just restarted has little. */
const LOOK_MS = 30_000
const GROWTH_MAX = 1.2

/**
 * The demo as it is left running: writes come, a random node is killed or cut off again and again,
 * a visitor listens. Nothing is lost, nothing is there twice, and no process grows.
 */
export async function runDemoForm(form: DemoForm): Promise<string[]> {
  const demo = await runDemo({ port: 0 })
  try {
    return await runWith(demo, form)
  } finally {
    await demo.close()
  }
}

async function runWith(demo: RunningDemo, form: DemoForm): Promise<string[]> {
  const { durationMs, ratePerSecond, breakEverySeconds, memoryFromMs } = form
  const page = await Visitor.open(demo.url)
  try {
    const startedMs = performance.now()
    const pastMs = (): number => performance.now() - startedMs
    const before = new Peaks()
    const after = new Peaks()
    await page.do('/api/controls', { ratePerSecond, breakEverySeconds })
    await until(
      `${durationMs / 1_000} s of writes and faults`,
      () => {
        const { nodes, tally } = page.state
        assert.deepEqual([tally.lost, tally.duplicated], [0, 0], 'lost, duplicated')
        if (memoryFromMs !== null) {
          if (pastMs() > memoryFromMs && pastMs() < memoryFromMs + LOOK_MS) before.look(nodes)
          if (pastMs() > durationMs - LOOK_MS) after.look(nodes)
        }
        return pastMs() > durationMs
      },
      durationMs + 60_000,
    )
    await page.do('/api/controls', { ratePerSecond: 0, breakEverySeconds: 0 })
    await page.untilState('all that was acknowledged is on every node', ({ tally }) => {
      return tally.acknowledged > 0 && tally.everywhere === tally.acknowledged
    })
    const { acknowledged, lost, duplicated, longestPauseMs } = page.state.tally
    assert.deepEqual([lost, duplicated], [0, 0], 'lost, duplicated')
    const rate = Math.round((acknowledged * 1_000) / durationMs)
    return [
      `${acknowledged} writes acknowledged in ${durationMs / 1_000} s, ${rate} of ` +
        `${ratePerSecond} a second, while a node was broken every ${breakEverySeconds} s: all on ` +
        `every node, lost ${lost}, duplicated ${duplicated}, longest pause ${longestPauseMs} ms`,
      ...(memoryFromMs === null ? [] : after.compare(before)),
    ]
  } finally {
    page.close()
  }
}

/** The most memory of each process, over a while. */
class Peaks {
  readonly #bytes = new Map<string, number>()

  look(nodes: readonly NodeCard[]): void {
    this.#add('supervisor', process.memoryUsage.rss())
    for (const { id, memoryBytes } of nodes) this.#add(id, memoryBytes)
  }

  /** @throws AssertionError if one has grown too much. */
  compare(before: Peaks): string[] {
    return [...this.#bytes].map(([name, bytes]) => {
      const earlier = before.#bytes.get(name) ?? 0
      const words = `${name}: ${toMb(earlier)} MB, in the end ${toMb(bytes)} MB`
      assert.ok(bytes <= GROWTH_MAX * earlier, words)
      return words
    })
  }

  #add(name: string, bytes: number): void {
    this.#bytes.set(name, Math.max(bytes, this.#bytes.get(name) ?? 0))
  }
}

function toMb(bytes: number): number {
  return Math.round(bytes / 1_000_000)
}
