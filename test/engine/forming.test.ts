/** Nodes that start at once: whatever the network and the machines do, one of them begins. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Forming, type Seeker } from '../../src/engine/forming.ts'
import { SeededRandom } from '../simulated/random.ts'

const WINDOW_MS = 300
const PAUSE_MS = 50

interface Node {
  forming: Forming | null
  readonly name: string
  memberId: number
  stalledUntilMs: number
  wasDecided: boolean
}

interface Storm {
  readonly nodes: number
  readonly expectedVoters: number
  /** Of a message, one way. */
  readonly delayMsMax: number
  readonly startsWithinMs: number
  readonly lossPercent: number
  readonly stalls: boolean
  readonly restarts: boolean
}

/** One start of a cluster in false time: who decided to begin, in order. */
class Start {
  #nowMs = 0
  readonly #events: { atMs: number; order: number; run: () => void }[] = []
  readonly #nodes: Node[]
  readonly #storm: Storm
  readonly #random: (bound: number) => number
  readonly decided: string[] = []
  #order = 0
  #nextId = 1

  constructor(storm: Storm, seed: number) {
    const random = new SeededRandom(seed)
    this.#storm = storm
    this.#random = (bound) => Math.floor((random.u32() / 2 ** 32) * bound)
    this.#nodes = Array.from({ length: storm.nodes }, (_, at) => ({
      forming: null,
      name: `node-${at + 1}`,
      memberId: 0,
      stalledUntilMs: 0,
      wasDecided: false,
    }))
    for (const node of this.#nodes) {
      this.#at(this.#random(storm.startsWithinMs + 1), () => this.#open(node))
    }
  }

  run(untilMs: number): this {
    while (this.#nowMs < untilMs) {
      this.#events.sort((a, b) => a.atMs - b.atMs || a.order - b.order)
      const event = this.#events.shift()
      if (event === undefined) break
      this.#nowMs = event.atMs
      event.run()
    }
    return this
  }

  #at(delayMs: number, run: () => void): void {
    this.#events.push({ atMs: this.#nowMs + delayMs, order: this.#order++, run })
  }

  #open(node: Node): void {
    node.memberId = this.#nextId++
    node.forming = new Forming({
      clock: { nowMs: () => this.#nowMs, wallMs: () => 0, setTimer: () => () => {} },
      memberId: node.memberId,
      nodeId: node.name,
      expectedVoters: this.#storm.expectedVoters,
      windowMs: WINDOW_MS,
      isBlind: false,
    })
    this.#round(node, node.forming)
  }

  /** A machine that stands still does nothing, and then all at once. */
  #awake(node: Node, forming: Forming, run: () => void): void {
    if (node.forming !== forming) return
    if (this.#nowMs < node.stalledUntilMs) {
      this.#at(node.stalledUntilMs - this.#nowMs, () => this.#awake(node, forming, run))
    } else run()
  }

  #round(node: Node, forming: Forming): void {
    const { stalls, restarts } = this.#storm
    if (stalls && this.#random(40) === 0) node.stalledUntilMs = this.#nowMs + this.#random(3_000)
    if (restarts && !node.wasDecided && this.#random(80) === 0) {
      node.forming = null
      this.#at(this.#random(500), () => this.#open(node))
      return
    }
    this.#awake(node, forming, () => {
      if (forming.step() && !node.wasDecided) {
        node.wasDecided = true
        this.decided.push(node.name)
      }
      const seeker = forming.own
      for (const other of this.#nodes) if (other !== node) this.#ask(node, forming, other, seeker)
      this.#at(PAUSE_MS, () => this.#round(node, forming))
    })
  }

  #ask(node: Node, forming: Forming, other: Node, seeker: Seeker): void {
    const askedMs = this.#nowMs
    this.#send(other, (there) => {
      const agrees = there.asked(seeker)
      const answer = there.own
      this.#send(node, (here) => {
        if (here === forming) here.answered(answer, seeker.stance, agrees, askedMs)
      })
    })
  }

  #send(to: Node, run: (forming: Forming) => void): void {
    if (this.#random(100) < this.#storm.lossPercent) return
    this.#at(1 + this.#random(this.#storm.delayMsMax), () => {
      const { forming } = to
      if (forming !== null) this.#awake(to, forming, () => run(forming))
    })
  }
}

const CALM: Storm = {
  nodes: 5,
  expectedVoters: 3,
  delayMsMax: 20,
  startsWithinMs: 1_000,
  lossPercent: 0,
  stalls: false,
  restarts: false,
}

it('five nodes that start at random begin one cluster, each time', () => {
  for (let seed = 1; seed <= 100; seed += 1) {
    const { decided } = new Start(CALM, seed).run(5_000)
    assert.equal(decided.length, 1, `seed ${seed}: ${decided}`)
  }
})

it('the first by name begins, where all are there in time', () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const { decided } = new Start({ ...CALM, startsWithinMs: 100 }, seed).run(5_000)
    assert.deepEqual(decided, ['node-1'], `seed ${seed}`)
  }
})

it('lost messages, machines that stand still and starts anew never make two', () => {
  const storm = { ...CALM, delayMsMax: 200, lossPercent: 20, stalls: true, restarts: true }
  let begun = 0
  for (let seed = 1; seed <= 80; seed += 1) {
    const { decided } = new Start(storm, seed).run(15_000)
    assert.ok(decided.length <= 1, `seed ${seed}: ${decided}`)
    begun += decided.length
  }
  assert.ok(begun > 40, `only ${begun} of 80 begun`)
})

it('fewer than expected wait, however long', () => {
  const { decided } = new Start({ ...CALM, nodes: 2 }, 1).run(60_000)
  assert.deepEqual(decided, [])
})

it('one that is expected alone begins alone, after its window', () => {
  const { decided } = new Start({ ...CALM, nodes: 1, expectedVoters: 1 }, 1).run(2_000)
  assert.deepEqual(decided, ['node-1'])
})

it('one that others can not reach holds them up for a while, not for ever', () => {
  const clock = { atMs: 0, nowMs: () => clock.atMs, wallMs: () => 0, setTimer: () => () => {} }
  const shared = { clock, expectedVoters: 3, windowMs: WINDOW_MS, isBlind: false }
  const [two, three] = [2, 3].map(
    (memberId) => new Forming({ ...shared, memberId, nodeId: `node-${memberId}` }),
  ) as [Forming, Forming]
  // It says that it looks around, and never does more: it sees nobody.
  const first: Seeker = { memberId: 1, nodeId: 'node-1', stance: 'looking' }
  let isBegun = false
  while (!isBegun && clock.atMs < 20_000) {
    clock.atMs += PAUSE_MS
    three.step()
    isBegun = two.step()
    for (const forming of [two, three]) forming.asked(first)
    const asked = two.own
    two.answered(three.own, asked.stance, three.asked(asked), clock.atMs)
    two.answered(first, asked.stance, asked.stance !== 'looking', clock.atMs)
  }
  assert.ok(isBegun)
})

it('one that can not look for others begins nothing before it can, and gives its word', () => {
  const clock = { atMs: 0, nowMs: () => clock.atMs, wallMs: () => 0, setTimer: () => () => {} }
  const own = { memberId: 1, nodeId: 'node-1', expectedVoters: 1, windowMs: WINDOW_MS }
  const blind = new Forming({ clock, ...own, isBlind: true })
  const asking: Seeker = { memberId: 2, nodeId: 'node-2', stance: 'asking' }
  for (; clock.atMs <= 10 * WINDOW_MS; clock.atMs += PAUSE_MS) assert.ok(!blind.step())
  assert.match(blind.describe(), /nobody could say yet where others are/)
  assert.ok(blind.asked(asking))
  blind.sees()
  const seesMs = clock.atMs
  while (!blind.step()) clock.atMs += PAUSE_MS
  assert.ok(clock.atMs - seesMs >= WINDOW_MS, 'it looks around first')
  assert.doesNotMatch(blind.describe(), /nobody could say/)
})
