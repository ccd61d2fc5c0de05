/** The scripts refuse what they don't know, and the watchdog ends what doesn't end by itself. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { root } from '../docs/pages.ts'
import { runNode } from './run-node.ts'

describe('scripts', () => {
  const twice = ['--seed=1', '--seed=2']
  const listed = ['scripts/mutations.mjs', '--list'] as const
  const refused: readonly (readonly [string, RegExp, ...string[]])[] = [
    ['an unknown flag', /Unknown option '--fast'/, 'scripts/test.mjs', '--fast'],
    ['tests that are not there', /No test file .* "test\/none"/, 'scripts/test.mjs', 'test/none'],
    ['a soak that is not there', /There is no soak "none"/, 'scripts/soak.mjs', 'none'],
    ['a flag twice', /--seed is given twice: "1" and "2"/, 'scripts/chaos.mjs', ...twice],
    ['a switch twice', /--list is given twice/, 'scripts/mutations.mjs', '--list', '--list'],
    ['a value like a flag', /if "-1" is one, say --seed=-1/, 'scripts/chaos.mjs', '--seed', '-1'],
    ['a flag for a value', /if "--list" is one/, 'scripts/mutations.mjs', '--only', '--list'],
    ['lives for a list', /--seeds does nothing beside --list/, ...listed, '--seeds=5'],
    ['cores for a list', /--cores does nothing beside --list/, ...listed, '--cores=1'],
    ['a record of a list', /--record does nothing beside --list/, ...listed, '--record=a.jsonl'],
    ['two lists', /--list does nothing beside --hazards/, ...listed, '--hazards'],
    [
      'a part of the rules',
      /--only does nothing beside --hazards/,
      ...['scripts/mutations.mjs', '--hazards', '--only=ack-before-durable'],
    ],
    ['a run too short', /No fault fits into 0.01 minutes/, 'scripts/chaos.mjs', '--minutes=0.01'],
    ['no seed', /--seed is a whole number, not ""/, 'scripts/chaos.mjs', '--seed='],
    [
      'a schedule without a fault',
      /the schedule has no fault/,
      'scripts/chaos.mjs',
      '--schedule=/dev/null',
    ],
    ['a record that is none', /\.jsonl file, not ""/, 'scripts/soak.mjs', '--record='],
    [
      'a record of another kind',
      /^--record: a record is a \.jsonl/,
      'scripts/chaos.mjs',
      '--record=x',
    ],
    ['a page that is no record', /one \.jsonl file/, 'scripts/results.mjs', 'docs/results.md'],
    ['a port that is none', /--port is a number .*"80a"/, 'scripts/demo.mjs', '--port', '80a'],
    ['a port beyond all', /--port is a number .*"65536"/, 'scripts/demo.mjs', '--port=65536'],
    ['no host', /--host is an address/, 'scripts/demo.mjs', '--host='],
    ['a flag that it lacks', /Unknown option '--rate'/, 'scripts/demo.mjs', '--rate', '5'],
    ['arguments it has no use for', /does not know "fast"/, 'scripts/build.mjs', 'fast'],
  ]
  for (const [what, message, ...args] of refused) {
    it(`${args[0]} refuses ${what} with status 2 and says what it takes`, () => {
      const { status, stderr } = runNode({ args })
      assert.equal(status, 2)
      assert.match(stderr, message)
      assert.match(stderr, /Usage: npm/)
    })
  }

  it('take a flag again where that adds to it', () => {
    const only = ['--only=ack-before-durable', '--only=pre-vote-counts-as-vote']
    const { status, stdout } = runNode({ args: ['scripts/mutations.mjs', '--list', ...only] })
    assert.equal(status, 0)
    assert.equal(stdout.match(/^\| (ack-before-durable|pre-vote-counts-as-vote) /gm)?.length, 2)
  })

  for (const args of ['mutations.mjs --list', 'simulate.mjs --seed=1 --fault-ms=20']) {
    it(`end without a word when nobody reads what they print: ${args}`, () => {
      const run = `"${process.execPath}" scripts/${args}; echo "status $?" >&2`
      const { stderr } = spawnSync('sh', ['-c', `{ ${run}; } | true`], {
        cwd: root,
        encoding: 'utf8',
        timeout: 60_000,
      })
      assert.equal(stderr, 'status 141\n')
    })
  }
})

describe('scripts/test.mjs', () => {
  it('keeps what one process has compiled for the others, until its end', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'colmena-scripts-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const { status, stdout } = runNode({
      args: ['scripts/test.mjs', 'test/base/bytes.test.ts'],
      env: {
        ...{ TMPDIR: folder, TEMP: folder, TMP: folder },
        NODE_COMPILE_CACHE: undefined,
        NODE_DEBUG_NATIVE: 'COMPILE_CACHE',
      },
    })
    assert.equal(status, 0, stdout)
    const written = /writing cache for StrippedTypeScript file:.*bytes\.ts to .*colmena-compiled-/
    assert.match(stdout, written)
    assert.deepEqual(readdirSync(folder), [])
  })
})

describe('the watchdog of test files', () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    [
      'an open server',
      "require('node:net').createServer().listen(0, '127.0.0.1')",
      /still open: .*TCPServerWrap/,
    ],
    ['an endless loop', 'for (;;);', /did not end within 0\.5 s: killed/],
  ]
  for (const [what, code, message] of cases) {
    it(`kills a process with ${what}`, () => {
      const { signal, stderr } = runNode({
        args: ['--import', './scripts/test-watchdog.mjs', '--eval', code],
        env: { COLMENA_TEST_FILE_TIMEOUT_MS: '500' },
      })
      assert.equal(signal, 'SIGKILL')
      assert.match(stderr, message)
    })
  }

  it('keeps no process waiting', () => {
    const { status, stderr } = runNode({
      args: ['--import', './scripts/test-watchdog.mjs', '--eval', ''],
      env: { COLMENA_TEST_FILE_TIMEOUT_MS: '50000' },
    })
    assert.equal(status, 0)
    assert.equal(stderr, '')
  })
})
