import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ApiClient } from '../../src/cli/client.ts'
import { runMemberAdd } from '../../src/cli/member-add.ts'
import { findFreePorts } from '../processes/free-port.ts'
import { until } from '../processes/wait.ts'
import { makeDirectory, Running, run, serve } from './command.ts'

describe('members add', () => {
  it('says what to run, as it stands, and waits until that node is level', async (t) => {
    const [first, second] = (await findFreePorts(2)).map((port) => `127.0.0.1:${port}`)
    const begin = ['--node-id', 'ann', '--bind', first as string, '--bootstrap']
    const { url } = await serve(t, begin)
    const adding = new Running(['members', 'add', second as string, '--url', url])
    const line = await until('it says how', () => /colmena (serve .+)\n/.exec(adding.out)?.[1])
    const expected = `serve --node-id node-2 --data-dir ./node-2 --bind ${second} --join ${first}`
    assert.equal(line, `${expected} --http-port 0`)
    const cwd = makeDirectory(t)
    const added = new Running(line.split(' '), { cwd })
    t.after(async () => {
      added.kill('SIGKILL')
      await added.ended
    })
    const { code, out } = await adding.ended
    assert.equal(code, 0)
    assert.match(out, /node-2 is a learner, and level/)
    const again = await run(['members', 'add', second as string, '--url', url])
    assert.match(again.out, /^there is a member at \S+ already\nnode-2 is a learner, and level\n$/)
    const follower = await until('it serves', () => /clients find it at (\S+)/.exec(added.out)?.[1])
    const asked = await run(['members', 'add', '127.0.0.1:1', '--url', follower])
    assert.equal(asked.code, 1)
    assert.match(asked.err, /^node-2 follows ann, which alone knows how far .* with --url/)
    const late = ['--timeout-seconds', '1']
    const never = await run(['members', 'add', '127.0.0.1:1', '--url', url, ...late])
    assert.deepEqual([never.code, /is not in the cluster/.test(never.err)], [1, true])
  })

  it('quotes what a shell would read otherwise, and names the secret', async (t) => {
    const { url } = await serve(t, ['--bind', '127.0.0.1:0', '--bootstrap'])
    const options = ['--node-id', "b'ea", '--learner', '--timeout-seconds', '1']
    const { out } = await run(['members', 'add', '[fd00::2]:9000', '--url', url, ...options])
    const [, command = ''] = out.split('\n')
    assert.ok(command.startsWith("  colmena serve --node-id 'b'\\''ea' --data-dir './b'\\''ea' "))
    assert.match(command, / --bind '\[fd00::2\]:9000' --join 127\.0\.0\.1:\d+ --join-as learner /)
    assert.match(command, / --secret-file \.\/secret$/)
    assert.match(out, /where nodes have certificates, it is --tls-ca, --tls-cert and --tls-key in/)
  })

  it('takes addresses only that others could dial', async () => {
    const client = new ApiClient({ url: 'http://127.0.0.1:1' })
    const options = { timeoutSeconds: '1' }
    for (const address of ['x', 'x:0', 'x:65536', ':9000', '0.0.0.0:9000', '[::]:1', '$(x):1']) {
      await assert.rejects(runMemberAdd(client, address, options), {
        exitCode: 2,
        message: `'${address}' is no HOST:PORT that other machines could dial`,
      })
    }
  })
})
