/** One machine of a demo on Fly.io, with the short times of a test: what the command runs there. */
import { runMachine } from '../../src/demo/demo.ts'
import { fromEnv } from '../../src/fly/fly.ts'

const { FLY_PRIVATE_IP = '', TEST_DNS = '' } = process.env
const print = (line: string): void => void process.stdout.write(`${line}\n`)

const machine = await runMachine({
  fly: {
    ...fromEnv(),
    port: 9416,
    servers: [TEST_DNS],
    pollMs: 50,
    discoveryWindowMs: 300,
    stewardMs: 50,
    electionTimeoutMs: 500,
    heartbeatMs: 50,
  },
  port: 9418,
  host: FLY_PRIVATE_IP.replace('::ffff:', ''),
  agentPort: 9417,
  // Of a busy machine: who is killed is noticed at once all the same.
  silenceMsMax: 20_000,
  progress: print,
})
print('the node is open')
process.stderr.write(`${String(await machine.failed)}\n`)
process.kill(process.pid, 'SIGKILL')
