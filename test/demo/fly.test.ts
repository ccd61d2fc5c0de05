/** The demo on four machines of Fly.io, each a process with loopback addresses of its own. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { deriveKey, encodeFrame } from '../../src/demo/machine-link.ts'
import { dialMachine } from '../../src/demo/machine-wire.ts'
import { until } from '../processes/wait.ts'
import { AGENT_PORT, FlyCloud, SECRET } from './fly-cloud.ts'
import { Visitor } from './visitor.ts'

let folder = ''
let cloud: FlyCloud
let page: Visitor
let host = ''

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'colmena-fly-demo-'))
  cloud = await FlyCloud.open(folder)
  for (let i = 0; i < 3; i += 1) cloud.add()
  host = await untilOneHost()
  page = await Visitor.open(cloud.url)
})
after(async () => {
  page?.close()
  await cloud?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Resolves with the machine that has the page, once all others name it. */
async function untilOneHost(): Promise<string> {
  return until('one machine has the page, and the others say so', async () => {
    const answers = await Promise.all(cloud.ids.map((id) => cloud.ask(id, '/README.md')))
    const hosts = cloud.ids.filter((_, at) => answers[at]?.status === 200)
    const named = answers.flatMap((answer) => answer?.replay ?? [])
    const [first] = hosts
    const isAgreed = named.every((header) => header.startsWith(`instance=${first};`))
    return hosts.length === 1 && named.length === cloud.ids.length - 1 && isAgreed && first
  })
}

async function untilLeader(): Promise<string> {
  return (await until('a machine leads', () => page.leader)).id
}

describe('the demo on machines', () => {
  it('begins with a tally of those that are there, and anew where one more comes', async () => {
    await page.do('/api/write', { text: 'before the fourth' })
    await page.untilState('it is on all three', ({ tally }) => tally.everywhere === 1)
    assert.equal(page.state.nodes.length, 3)
    cloud.add()
    await page.untilState('there are four', ({ nodes }) => nodes.length === 4)
    const [, , , fourth] = cloud.ids
    await until('it is told', () =>
      page.events.includes(`${fourth} is a member now: the tally begins anew`),
    )
    await page.untilState('three of four vote', ({ nodes }) => {
      const roles = nodes.filter(({ isRunning }) => isRunning).map(({ role }) => role)
      return roles.sort().join() === 'follower,follower,leader,learner'
    })
    assert.equal(page.state.tally.acknowledged, 0)
    assert.equal(await untilOneHost(), host)
    assert.deepEqual([page.state.site, page.state.notice], ['machines', null])
  })

  it('cuts no machine off, as that is not its to do', async () => {
    const { status, message } = await page.refused(`/api/nodes/${host}/cut`)
    assert.deepEqual(
      [status, message.split(':')[0]],
      [400, 'the links between machines are not ours to cut'],
    )
  })

  it('loses and doubles nothing where the leader is killed', async () => {
    await page.do(`/api/nodes/${await untilLeader()}/step-down`)
    const leader = await until('another machine than the host leads', () => {
      return page.leader !== undefined && page.leader.id !== host && page.leader.id
    })
    await page.do('/api/controls', { ratePerSecond: 100 })
    await page.untilState('writes are counted', ({ tally }) => tally.acknowledged > 50)
    cloud.kill(leader)
    await until('another leads', () => page.leader !== undefined && page.leader.id !== leader)
    await until('it is told', () =>
      page.events.includes(`${leader} ended by itself: Fly.io starts it again`),
    )
    await until('it is level again', () =>
      page.events.some((text) => text.startsWith(`${leader} level again after`)),
    )
    await page.do('/api/controls', { isPaused: true })
    await page.untilState('all are found everywhere', ({ tally, nodes }) => {
      const isBack = nodes.every(({ isRunning }) => isRunning)
      return isBack && tally.acknowledged > 100 && tally.everywhere === tally.acknowledged
    })
    const { lost, duplicated } = page.state.tally
    assert.deepEqual({ lost, duplicated }, { lost: 0, duplicated: 0 })
  })

  it('goes on at another machine where its host is restarted, and stays there', async () => {
    const former = host
    const { acknowledged } = page.state.tally
    const pid = cloud.pidOf(former)
    await page.do(`/api/nodes/${former}/restart`)
    await until('its process was ended', () => cloud.pidOf(former) !== pid)
    page.close()
    host = await until('another has it', async () => {
      const next = await untilOneHost()
      return next !== former && next
    })
    page = await Visitor.open(cloud.url)
    const words = `${host} has the page now, in place of ${former}: the tally begins anew`
    await until('it is told', () => page.events.includes(words))
    assert.ok(acknowledged > page.state.tally.acknowledged)
    await page.do('/api/write', { text: 'at the next host' })
    await page.untilState('it is on all four', ({ tally, nodes }) => {
      return nodes.length === 4 && tally.everywhere === 1
    })
    assert.deepEqual([page.state.tally.lost, page.state.tally.duplicated], [0, 0])
    assert.equal(await untilOneHost(), host)
  })

  it('answers by the name of the application, and tells of its health', async () => {
    const byName = await cloud.ask(host, '/README.md', { host: 'app.fly.dev' })
    const byForeignName = await cloud.ask(host, '/README.md', { host: 'evil.example' })
    assert.deepEqual([byName?.status, byForeignName?.status], [200, 403])
    await until('all are healthy', async () => {
      const answers = await Promise.all(cloud.ids.map((id) => cloud.ask(id, '/health')))
      return answers.every((answer) => answer?.status === 200)
    })
  })

  it('sends no request to and fro', async () => {
    const other = cloud.ids.find((id) => id !== host) as string
    const elsewhere = await cloud.ask(other, '/', { 'fly-replay-src': `instance=x` })
    assert.deepEqual(elsewhere, { status: 409, replay: `instance=${host};state=host` })
    const toHost = await cloud.ask(other, '/', { 'fly-replay-src': 'instance=x;state=host' })
    assert.deepEqual(toHost, { status: 503, replay: null })
  })
})

describe('the agent of a machine', () => {
  async function dial(secret: string): Promise<number> {
    const end = new AbortController()
    let heard = 0
    try {
      const openWire = await dialMachine({
        host: cloud.hostOf(host),
        port: AGENT_PORT,
        key: await deriveKey(secret),
        name: 'a stranger',
        silenceMsMax: 20_000,
        signal: end.signal,
        page: () => (heard += 1),
      })
      openWire({ received: () => (heard += 1), ended() {} })
      await until('something is heard', () => heard > 0)
    } finally {
      end.abort()
    }
    return heard
  }

  it('speaks with who has the secret, and with nobody else', async () => {
    assert.ok((await dial(SECRET)) > 0)
    await assert.rejects(dial(`${SECRET}s`), /is not reached/)
    await assert.rejects(deriveKey(undefined), { code: 'ERR_INVALID_OPTION' })
  })

  it('gives nothing to who speaks without TLS, and does not obey', async () => {
    const pid = cloud.pidOf(host)
    const socket = connect(AGENT_PORT, cloud.hostOf(host))
    let received = Buffer.alloc(0)
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
    })
    socket.on('error', () => {})
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write(encodeFrame({ kind: 'kill' }))
    await closed
    // At most TLS's own alert, of seven bytes.
    assert.ok(received.length <= 7, received.toString('hex'))
    assert.equal(cloud.pidOf(host), pid)
    assert.equal((await cloud.ask(host, '/README.md'))?.status, 200)
  })
})
