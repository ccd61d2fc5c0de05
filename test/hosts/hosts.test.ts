/** The rig itself: what flows between hosts, what does not leave them, and what a cut cuts. */
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { DEADLINE_MS, until } from '../processes/wait.ts'
import { createHosts, type Host } from './hosts.ts'
import type { FromListener, ToListener } from './listener.ts'
import { Loopback } from './loopback.ts'

const LISTENER = new URL('listener.ts', import.meta.url)
/** Of a network that is nobody's, ever. */
const ELSEWHERE = { host: '192.0.2.1', port: 9, waitMs: DEADLINE_MS }
/** For an answer that must not come: a loaded machine can't make it come. */
const SILENCE_MS = 300

class Listener {
  readonly host: Host
  readonly heard: string[] = []
  readonly pid: number
  readonly #child: ReturnType<Host['run']>
  readonly #dialled = new Map<string, string>()
  #isReady = false

  constructor(host: Host) {
    this.host = host
    const { address, address6, port, multicastAddress } = host
    this.#child = host.run(LISTENER, [address, address6, String(port), multicastAddress])
    this.pid = this.#child.pid ?? 0
    this.#child.on('message', (message: FromListener) => {
      if (message.kind === 'ready') this.#isReady = true
      else if (message.kind === 'heard') this.heard.push(`${message.text} by ${message.from}`)
      else this.#dialled.set(message.host, message.code)
    })
  }

  async ready(): Promise<this> {
    await until('it listens', () => this.#isReady)
    return this
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** What comes of it, by both addresses. */
  dial(to: Host, waitMs = DEADLINE_MS): Promise<readonly string[]> {
    return Promise.all(
      [to.address, to.address6].map((host) => this.dialAt({ host, port: to.port, waitMs })),
    )
  }

  async dialAt(to: Pick<ToListener & { kind: 'dial' }, 'host' | 'port' | 'waitMs'>) {
    this.#dialled.delete(to.host)
    this.#tell({ kind: 'dial', ...to })
    return await until(`an answer of ${to.host}`, () => this.#dialled.get(to.host))
  }

  call(text: string): void {
    this.#tell({ kind: 'call', text })
  }

  #tell(message: ToListener): void {
    this.#child.send(message)
  }
}

const BOTH = ['connected', 'connected']
const NEITHER = ['silence', 'silence']

it('hosts reach each other, by multicast too, and nobody else; a cut cuts it all', async (t) => {
  const before = networkInterfaces()
  await using hosts = await createHosts(3)
  if (hosts.missing !== null) t.diagnostic(hosts.missing)
  const listeners = hosts.all.map((host) => new Listener(host))
  const [one, two, three] = (await Promise.all(listeners.map((each) => each.ready()))) as [
    Listener,
    Listener,
    Listener,
  ]
  assert.deepEqual(await one.dial(two.host), BOTH)
  one.call('hello')
  for (const { heard } of [two, three]) {
    await until('the others hear it', () => heard.includes(`hello by ${one.host.multicastAddress}`))
  }
  if (hosts.missing === null) {
    assert.equal(await one.dialAt(ELSEWHERE), 'ENETUNREACH')
    for (const { pid } of listeners) assert.deepEqual(interfacesOf(pid), ['eth0', 'lo'])

    hosts.cut(0, 1)
    assert.deepEqual(await one.dial(two.host, SILENCE_MS), NEITHER)
    assert.deepEqual(await two.dial(one.host, SILENCE_MS), NEITHER)
    assert.deepEqual(await one.dial(three.host), BOTH)
    one.call('cut')
    await until('the third hears it', () => three.heard.some((text) => text.startsWith('cut')))
    hosts.heal()
    assert.deepEqual(await one.dial(two.host), BOTH)
    one.call('healed')
    await until('the second hears it', () => two.heard.some((text) => text.startsWith('healed')))
    assert.ok(!two.heard.some((text) => text.startsWith('cut')))

    hosts.cutOff(2)
    assert.deepEqual(await three.dial(one.host, SILENCE_MS), NEITHER)
    assert.deepEqual(await two.dial(three.host, SILENCE_MS), NEITHER)
    assert.deepEqual(await one.dial(two.host), BOTH)
    hosts.heal()
  }
  await three.host.powerCut()
  assert.ok(!three.isRunning)
  if (hosts.missing === null) assert.deepEqual(await one.dial(three.host, SILENCE_MS), NEITHER)
  const again = await new Listener(three.host).ready()
  assert.deepEqual(await one.dial(again.host), BOTH)
  assert.deepEqual(networkInterfaces(), before, 'this machine has the interfaces that it had')
})

it('one way, a cut lets through what the other sends', async (t) => {
  await using hosts = await createHosts(2)
  if (hosts.missing !== null) return t.diagnostic(hosts.missing)
  const listeners = hosts.all.map((host) => new Listener(host).ready())
  const [one, two] = (await Promise.all(listeners)) as [Listener, Listener]
  hosts.cut(0, 1, { oneWay: true })
  two.call('passes')
  await until('the first hears it', () => one.heard.some((text) => text.startsWith('passes')))
  one.call('lost')
  hosts.heal()
  one.call('found')
  await until('the second hears it', () => two.heard.some((text) => text.startsWith('found')))
  assert.ok(!two.heard.some((text) => text.startsWith('lost')))
})

it('nothing is left of it when its process is killed', () => killOwner({}))

it('nothing is left of it when its process is killed before a process has begun', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'colmena-hosts-'))
  const { PATH = '' } = process.env
  // Begins what is endless only once who starts it is no more.
  const late = 'case "$*" in *endless*) while kill -0 "$PPID" 2>/dev/null; do :; done;; esac'
  const script = `#!/bin/sh\n${late}\nPATH='${PATH}' exec setpriv "$@"\n`
  writeFileSync(join(directory, 'setpriv'), script, { mode: 0o755 })
  try {
    await killOwner({ PATH: `${directory}:${PATH}` })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

async function killOwner(env: NodeJS.ProcessEnv): Promise<void> {
  const owner = fork(new URL('owner.ts', import.meta.url), {
    execArgv: [],
    env: { ...process.env, ...env },
  })
  const [pid] = (await once(owner, 'message')) as [number]
  const network = networkOf(pid)
  assert.ok(isThere(pid))
  owner.kill('SIGKILL')
  await until('its process is gone', () => !isThere(pid))
  if (network === null || network === networkOf(process.pid)) return
  await until('nothing holds its network', () => pidsOf(network).length === 0)
}

it('without namespaces hosts are loopback addresses, each with a port of its own', async () => {
  const { places } = await Loopback.open(3)
  assert.equal(new Set(places.map(({ port }) => port)).size, 3)
  for (const { address } of places) assert.match(address, /^127\./)
})

function interfacesOf(pid: number): readonly string[] {
  const lines = readFileSync(`/proc/${pid}/net/dev`, 'utf8').split('\n').slice(2)
  return lines.flatMap((line) => /^\s*(\w+):/.exec(line)?.[1] ?? []).sort()
}

/** The namespace that a process is in, null where that can't be known. */
function networkOf(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`)
  } catch {
    return null
  }
}

function pidsOf(network: string): readonly number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map(Number).filter((pid) => networkOf(pid) === network)
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
