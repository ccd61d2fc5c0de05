/** The demo as its page drives it, with four real node processes. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { type RunningDemo, runDemo } from '../../src/demo/demo.ts'
import type { BenchFigures, DemoState, NodeCard, WriteRow } from '../../src/demo/protocol.ts'
import { until } from '../processes/wait.ts'
import { Visitor } from './visitor.ts'

let demo: RunningDemo
let page: Visitor
before(async () => {
  demo = await runDemo({ port: 0 })
  page = await Visitor.open(demo.url)
})
after(async () => {
  page?.close()
  await demo?.close()
})

const isWhole = ({ nodes }: DemoState): boolean =>
  nodes.every(({ isRunning, isCutOff, lagEntries }) => isRunning && !isCutOff && lagEntries === 0)

async function untilLeader(): Promise<NodeCard> {
  return until('a node leads', () => page.leader)
}

/** Resolves with the row of a write once it is everywhere. */
async function write(text: string, node?: string): Promise<WriteRow> {
  return send(text, ({ everywhereMs }) => everywhereMs !== null, node)
}

/** Resolves with the row of a write once it is as wanted. */
async function send(
  text: string,
  isDone: (row: WriteRow) => boolean,
  node?: string,
): Promise<WriteRow> {
  await page.do('/api/write', { text, ...(node === undefined ? {} : { node }) })
  return until(`'${text}' is done`, () =>
    page.writes.find((row) => row.text === text && isDone(row)),
  )
}

beforeEach(async () => {
  await page.do('/api/controls', { ratePerSecond: 0, breakEverySeconds: 0, isPaused: false })
  for (const { id, isCutOff } of page.state.nodes) {
    if (isCutOff) await page.do(`/api/nodes/${id}/join`)
  }
  await until('all nodes are whole', () => isWhole(page.state))
  await untilLeader()
})

describe('the demo', () => {
  it('has three voters and a learner, each in a process that is level', () => {
    const roles = page.state.nodes.map(({ role }) => role).sort()
    assert.deepEqual(roles, ['follower', 'follower', 'leader', 'learner'])
    assert.equal(page.card('node-4').role, 'learner')
    for (const { term, memoryBytes, startedAt, story } of page.state.nodes) {
      assert.ok(term > 0 && memoryBytes > 1_000_000 && startedAt !== null && story !== '')
    }
    assert.equal(page.state.notice, null)
  })

  it('tells of a write who received it, who applied it, where, and how long it took', async () => {
    const { id: leader } = await untilLeader()
    const follower = ['node-1', 'node-2'].find((id) => id !== leader) as string
    const row = await write('hello <b>bees</b>', follower)
    assert.equal(row.receivedBy, follower)
    assert.equal(row.appliedBy, leader)
    assert.equal(row.outcome, 'acknowledged')
    assert.equal(row.error, null)
    assert.equal(row.term, page.card(leader).term)
    assert.ok((row.index ?? 0) > 0)
    const [committed, applied, everywhere] = [row.committedMs, row.appliedMs, row.everywhereMs]
    assert.ok(committed !== null && applied !== null && everywhere !== null)
    assert.ok(0 < committed && committed <= applied && applied <= everywhere)
  })

  it('writes a text of its own where none is given, through any node', async () => {
    const before = page.writes.length
    await page.do('/api/write')
    const row = await until('a row', () => page.writes[before])
    assert.ok(row.text.length > 0 && /^node-[1-4]$/.test(row.receivedBy))
  })

  it('goes on without the leader that is killed, and has it level again', async () => {
    const old = await untilLeader()
    await page.do(`/api/nodes/${old.id}/restart`)
    const second = await page.refused('/api/nodes/node-4/restart')
    assert.deepEqual([second.status, second.code, second.retryable], [409, 'ERR_BUSY', true])
    await page.untilState('its card is gone', () => page.card(old.id).role === 'gone')
    const next = await until('another node leads', () =>
      page.leader !== undefined && page.leader.id !== old.id ? page.leader : null,
    )
    assert.ok(next.term > old.term)
    await until('it is said who was elected', () =>
      page.events.find((text) =>
        new RegExp(`^${next.id} elected in term ${next.term}, \\d+ ms without a leader$`).test(
          text,
        ),
      ),
    )
    await page.untilState('it is level again', () =>
      page.card(old.id).story.startsWith('Level again after '),
    )
    assert.ok(page.events.includes(`${old.id} killed`))
    await until('that is told in the log as well', () =>
      page.events.some((text) => text.startsWith(`${old.id} level again after `)),
    )
  })

  it('cuts a node off from the others, and has it back', async () => {
    const { id: leader } = await untilLeader()
    const cut = ['node-1', 'node-2'].find((id) => id !== leader) as string
    await page.do(`/api/nodes/${cut}/cut`)
    assert.equal((await page.refused(`/api/nodes/${cut}/cut`)).status, 400)
    const shared = 'what the cut-off node does not get'
    const others = await send(shared, ({ outcome }) => outcome === 'acknowledged', leader)
    await page.untilState('it falls behind', () => page.card(cut).lagEntries > 0)
    await page.untilState('the others have it', ({ nodes }) =>
      nodes.every(({ id, appliedIndex }) => id === cut || appliedIndex >= (others.index ?? 0)),
    )
    const isEverywhere = () => page.writes.find((row) => row.text === shared)?.everywhereMs !== null
    assert.equal(isEverywhere(), false, 'what a node still lacks is not everywhere')
    assert.ok(page.card(cut).isRunning && page.card(cut).isCutOff)
    const text = 'nobody hears this'
    const lonely = () => page.writes.find((row) => row.text === text)
    await page.do('/api/write', { text, node: cut })
    await until('its own write has no answer', () => (lonely()?.outcome ?? 'pending') !== 'pending')
    assert.match(lonely()?.outcome ?? '', /^(not-applied|unknown)$/)
    assert.ok((lonely()?.error ?? '') !== '')
    await page.do(`/api/nodes/${cut}/join`)
    await page.untilState('it is level again', () =>
      page.card(cut).story.startsWith('Level again after '),
    )
    assert.ok(page.card(cut).appliedIndex >= (others.index ?? 0))
    await until('now it is everywhere', isEverywhere)
    await until('it is known what became of its write', () => lonely()?.outcome !== 'unknown')
    assert.equal((await page.refused(`/api/nodes/${cut}/join`)).status, 400)
  })

  it('says that writes wait, and why, while most voters are away', async () => {
    const { id: leader } = await untilLeader()
    const [one, other] = ['node-1', 'node-2', 'node-3'].filter((id) => id !== leader)
    await page.do(`/api/nodes/${one}/cut`)
    await page.untilState('it is cut off', () => page.card(one as string).isCutOff)
    assert.equal(page.state.notice, null)
    await page.do(`/api/nodes/${other}/cut`)
    await page.untilState('there is a notice', ({ notice }) => notice !== null)
    const { notice } = page.state as DemoState
    assert.equal(notice?.title, '2 of 3 voters are away: writes wait.')
    assert.match(
      notice.text,
      new RegExp(`${one} and ${other} are away|${other} and ${one} are away`),
    )
    // A learner elects nobody: that it has no leader it knows by the silence alone.
    await page.untilState('the learner hears none', () => page.card('node-4').leaderId === null)
    await page.do(`/api/nodes/${one}/join`)
    await page.do(`/api/nodes/${other}/join`)
    await page.untilState('the notice goes', ({ notice }) => notice === null)
    await write('it goes on')
  })

  it('has the leader step down, and no other node', async () => {
    const { id: leader, term } = await untilLeader()
    const refused = await page.refused('/api/nodes/node-4/step-down')
    assert.match(refused.message, /node-4 does not lead/)
    await page.do(`/api/nodes/${leader}/step-down`)
    await until('another one leads', () => page.leader !== undefined && page.leader.id !== leader)
    assert.ok((page.leader?.term ?? 0) > term)
  })

  it('counts what was acknowledged and is on every node, under load and a kill', async () => {
    await page.do('/api/reset')
    await page.untilState('it begins anew', ({ tally }) => tally.acknowledged === 0)
    await page.do('/api/controls', { ratePerSecond: 200 })
    await page.untilState('writes are counted', ({ tally }) => tally.acknowledged > 200)
    await page.do(`/api/nodes/${(await untilLeader()).id}/restart`)
    await page.untilState('more are counted', ({ tally }) => tally.acknowledged > 800)
    assert.equal((await page.refused('/api/controls', { isPaused: 'yes' })).status, 400)
    await page.do('/api/controls', { isPaused: true })
    await page.untilState('all are found everywhere', ({ tally, nodes }) => {
      const isBack = nodes.every(({ isRunning }) => isRunning)
      return isBack && tally.everywhere === tally.acknowledged
    })
    const { lost, duplicated, longestPauseMs } = page.state.tally
    assert.deepEqual({ lost, duplicated }, { lost: 0, duplicated: 0 })
    assert.ok(longestPauseMs > 0)
    assert.ok(page.points > 0)
    assert.ok(page.state.nodes.some(({ appliedPerSecond }) => appliedPerSecond.some((n) => n > 50)))
  })

  it('begins the tally anew when asked, and tells every page', async () => {
    await write('before the reset')
    const { hellos } = page
    await page.do('/api/reset')
    await until('another hello', () => page.hellos > hellos)
    assert.equal(page.state.tally.acknowledged, 0)
    assert.ok(page.writes.every(({ text }) => text !== 'before the reset'))
    await write('after the reset')
    await page.untilState('it is counted', ({ tally }) => tally.everywhere === 1)
  })

  it('measures the levels on a follower', async () => {
    await page.untilState('all are measured', ({ levels }) => {
      return levels.length === 4 && levels.every(({ p50Ms }) => (p50Ms ?? 0) > 0)
    })
    assert.deepEqual(
      page.state.levels.map(({ level }) => level),
      ['none', 'lease', 'weak', 'strong'],
    )
  })

  it('breaks a node by itself when asked to', async () => {
    await page.do('/api/controls', { breakEverySeconds: 2 })
    await until('a node is broken', () =>
      page.rows.some(({ text }) => /^node-\d (killed|cut off from the others)$/.test(text)),
    )
    await page.do('/api/controls', { breakEverySeconds: 0 })
  })

  it('has the figures of the bench, with machine, date and commit', async () => {
    const response = await fetch(new URL('api/bench', demo.url))
    const { machine, date, commit, figures } = (await response.json()) as BenchFigures
    assert.ok(machine.length > 0 && /^\d{4}-\d\d-\d\d/.test(date) && /^[0-9a-f]{7,}/.test(commit))
    assert.ok((figures['write.cluster.32.perSecond'] ?? 0) > 0)
  })
})

describe('a visitor of the demo', () => {
  const refusals: readonly (readonly [string, string, unknown, number, RegExp])[] = [
    ['a long text', '/api/write', { text: 'x'.repeat(201) }, 400, /201 characters, at most 200/],
    ['a text that is none', '/api/write', { text: 7 }, 400, /text is not a text/],
    ['an unknown node', '/api/write', { node: 'node-9' }, 400, /no node 'node-9', only node-1,/],
    ['a list', '/api/write', [], 400, /a write is an object/],
    ['a large body', '/api/write', { text: 'x'.repeat(9_000) }, 413, /at most 4096 bytes/],
    ['a high rate', '/api/controls', { ratePerSecond: 501 }, 400, /501; it can be 0 to 500/],
    ['a rate below 0', '/api/controls', { ratePerSecond: -1 }, 400, /-1; it can be 0 to 500/],
    ['no rate', '/api/controls', { ratePerSecond: null }, 400, /null; it can be/],
    ['breaking all the time', '/api/controls', { breakEverySeconds: 1 }, 400, /or 2 to 600/],
    ['an unknown control', '/api/controls', { speed: 1 }, 400, /there is no control 'speed'/],
    ['an unknown node to restart', '/api/nodes/x/restart', undefined, 400, /no node 'x'/],
    ['an unknown action', '/api/nodes/node-1/melt', undefined, 404, /no POST \/api\/nodes/],
  ]
  for (const [what, path, body, status, message] of refusals) {
    it(`is refused ${what}`, async () => {
      const error = await page.refused(path, body)
      assert.equal(error.status, status)
      assert.match(error.message, message)
      assert.equal(error.retryable, false)
      assert.match(error.code, /^ERR_/)
    })
  }

  it('writes 200 characters, and nothing that a page or terminal would obey', async () => {
    await write('🐝'.repeat(200))
    await page.do('/api/write', { text: 'a\u001b[31m red\nb \u202e ' })
    await until('it is one line of plain text', () =>
      page.writes.find(({ text }) => text === 'a [31m red b'),
    )
    await write('👩\u200d👧 می\u200cخواهم')
  })

  it('is refused a body that is no JSON', async () => {
    const response = await fetch(new URL('/api/write', demo.url), { method: 'POST', body: '{' })
    assert.equal(response.status, 400)
  })
})
