import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { until } from '../processes/wait.ts'
import { makeDirectory, Running, run } from './command.ts'

describe('demo', () => {
  it('serves its page, and ends with all four nodes at a signal', async (t) => {
    const dataDir = join(makeDirectory(t), 'demo')
    const demo = new Running(['demo', '--port', '0', '--data-dir', dataDir])
    t.after(() => demo.kill('SIGKILL'))
    const url = await until('the page is served', () => {
      if (demo.child.exitCode !== null) throw new Error(`it ended: ${demo.err}`)
      return /open (\S+)/.exec(demo.out)?.[1]
    })
    const page = await fetch(url)
    // The page itself comes from a build, which tests of the command do without.
    if (page.status !== 200) assert.match(await page.text(), /npm run build/)
    assert.equal((await fetch(`${url}docs/cli.md`)).status, 200)
    const nodes = childrenOf(demo.child.pid as number)
    assert.equal(nodes.length, 4)
    demo.kill('SIGINT')
    const { code, err } = await demo.ended
    assert.deepEqual([code, err], [0, ''])
    assert.deepEqual(nodes.filter(isAlive), [])
    assert.ok(existsSync(dataDir))
  })

  it('leaves nothing behind where it is ended amid its start', async (t) => {
    const TMPDIR = makeDirectory(t)
    const demo = new Running(['demo', '--port', '0'], { env: { TMPDIR } })
    t.after(() => demo.kill('SIGKILL'))
    const nodes = await until('nodes start', () => {
      const found = childrenOf(demo.child.pid as number)
      return found.length > 0 && found
    })
    assert.notDeepEqual(readdirSync(TMPDIR), [])
    demo.kill('SIGTERM')
    await until('it heard', () => demo.out.includes('ending the nodes'))
    // As Ctrl-C of a terminal does to a node that has not begun to listen for it.
    for (const node of nodes) if (isAlive(node)) process.kill(node, 'SIGKILL')
    const { code, out, err } = await demo.ended
    assert.deepEqual([code, err], [0, ''])
    assert.doesNotMatch(out, /open http/)
    assert.deepEqual(nodes.filter(isAlive), [])
    assert.deepEqual(readdirSync(TMPDIR), [])
  })

  it('says in one sentence why it can not begin', async () => {
    const wrong = await run(['demo', '--port', '99999'])
    assert.deepEqual([wrong.code, /--port is '99999'/.test(wrong.err)], [2, true])
    const elsewhere = await run(['demo', '--fly'])
    assert.deepEqual([elsewhere.code, /^FLY_MACHINE_ID, FLY_/.test(elsewhere.err)], [1, true])
    const env = {
      FLY_MACHINE_ID: 'e784079b449418',
      FLY_PRIVATE_IP: '::1',
      FLY_REGION: 'fra',
      FLY_APP_NAME: 'app',
    }
    const open = await run(['demo', '--fly'], { env })
    assert.deepEqual([open.code, /COLMENA_SECRET is missing/.test(open.err)], [1, true])
    const folder = await run(['demo', '--fly', '--data-dir', '/data'], { env })
    assert.deepEqual([folder.code, /COLMENA_DATA_DIR/.test(folder.err)], [2, true])
  })
})

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
    .map(Number)
}

function parentOf(pid: string): number | null {
  try {
    // Behind the name, which may hold anything: the state, then the parent.
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1])
  } catch {
    return null
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
