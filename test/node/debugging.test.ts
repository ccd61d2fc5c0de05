import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const script = fileURLToPath(new URL('debugged-nodes.ts', import.meta.url))

async function run(debug: string): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const env = { ...process.env, NODE_DEBUG: debug }
  const args = ['--disable-warning=ExperimentalWarning', script]
  return promisify(execFile)(process.execPath, args, { env, timeout: 60_000 })
}

suite('NODE_DEBUG=colmena', () => {
  test('prints what engines decide, each line with its node, index and term', async () => {
    const { stdout, stderr } = await run('colmena')
    assert.equal(stdout, 'led by bea\n')
    const lines = stderr.trimEnd().split('\n')
    for (const line of lines) assert.match(line, /^COLMENA \d+: (ann|bea|cid): \w+/)
    const wanted = [
      /ann: started voters=\d+ term=1 commit=1 applied=1 index=1$/,
      /ann: campaignStarted index=1 term=1$/,
      /ann: becameLeader index=\d+ term=\d+$/,
      /bea: clusterFound clusterId=[0-9a-f]{32}$/,
      /ann: joinAsked nodeId=bea address=127\.0\.0\.1:\d+ wantedRole=voter index=\d+ term=\d+$/,
      /ann: joinAnswered nodeId=bea answer=\w+ index=\d+ term=\d+$/,
      /ann: snapshotCopied snapshotIndex=\d+ bytes=\d+ index=\d+ term=\d+$/,
      /ann: snapshotSent .*snapshotIndex=\d+ snapshotTerm=\d+ to=bea index=\d+ term=\d+$/,
      /bea: snapshotReceived snapshotIndex=\d+ generation=2 bytes=\d+ index=\d+ term=\d+$/,
      /bea: snapshotInstalled snapshotIndex=\d+ index=\d+ term=\d+$/,
      /ann: configurationSwitched configuration=voters:\w+,\w+,\w+.* index=\d+ term=\d+$/,
      /ann: transferStarted to=bea index=\d+ term=\d+$/,
      /bea: timeoutNowReceived from=ann index=\d+ term=\d+$/,
      /bea: voteRequested type=vote to=ann index=\d+ term=\d+$/,
      /ann: voteCast .*type=vote from=bea .*index=\d+ term=\d+$/,
      /bea: votesTallied granted=2 type=voteResponse rejected=0 index=\d+ term=\d+$/,
      /bea: becameLeader index=\d+ term=\d+$/,
      /ann: leaderSeen leader=bea index=\d+ term=\d+$/,
    ]
    for (const line of wanted) {
      assert.ok(
        lines.some((one) => line.test(one)),
        `no line is like ${line}:\n${stderr}`,
      )
    }
  })

  test('is needed for any of it', async () => {
    assert.deepEqual(await run('net-of-others'), { stdout: 'led by bea\n', stderr: '' })
  })
})
