/** A case is replayed as a failure says it, and what is none is refused instead of holding. */
import assert from 'node:assert/strict'
import type { SpawnSyncReturns } from 'node:child_process'
import { describe, it } from 'node:test'
import { runNode } from '../scripts/run-node.ts'
import { Fuzzer, FuzzFailure } from './fuzzer.ts'

function replay(...args: string[]): SpawnSyncReturns<string> {
  return runNode({ args: ['test/fuzz/replay.ts', ...args] })
}

describe('a replay', () => {
  const refused: readonly (readonly [string, RegExp, ...string[]])[] = [
    ['nothing at all', /takes a target, a seed and a path/],
    ['no path', /takes a target, a seed and a path/, 'command.write', '1'],
    ['an unknown target', /no target "comand", only transport.frames, /, 'comand', '1', '0'],
    ['a seed that is a word', /whole number, not "one"/, 'command.write', 'one', '0'],
    ['an empty seed', /whole number, not ""/, 'command.write', '', '0'],
    ['a part of a seed', /whole number, not "1.5"/, 'command.write', '1.5', '0'],
    ['a path that is a word', /colons between, not "first"/, 'command.write', '1', 'first'],
    ['a path to nothing', /no case of .* at 0:2000/, 'command.write', '1', '0:2000:0'],
    ['a path beyond all', /No run has had 1000000 cases/, 'command.write', '1', '1000000'],
    ['more than that', /no use for "again"/, 'command.write', '1', '0', 'again'],
  ]
  for (const [what, message, ...args] of refused) {
    it(`refuses ${what} with status 2 and says what it takes`, () => {
      const { status, stderr, stdout } = replay(...args)
      assert.equal(status, 2, stdout)
      assert.match(stderr, message)
      assert.match(stderr, /Usage: npx node test\/fuzz\/replay\.ts TARGET SEED PATH/)
      assert.equal(stdout, '')
    })
  }

  it('says which case it was that holds', () => {
    const { status, stdout } = replay('engine.numbers', '7', '3')
    assert.match(stdout, /^1 case of engine\.numbers, seed 7, path 3 holds: \[\{"value":/)
    assert.equal(status, 0)
  })
})

describe('a failure', () => {
  const ask = async (path?: string): Promise<string> => {
    const fuzzer = new Fuzzer()
    try {
      // What is no target ends the process of the cases before the first of them.
      await fuzzer.run({ target: 'none', seed: 5, runs: 1, path })
    } catch (error) {
      assert.ok(error instanceof FuzzFailure)
      return error.message
    } finally {
      await fuzzer.close()
    }
    assert.fail('it did not fail')
  }

  it('says how to see it again', async () => {
    assert.match(await ask(), /again: npx node test\/fuzz\/replay\.ts none 5 0\n/)
    assert.match(await ask('8:1'), /again: npx node test\/fuzz\/replay\.ts none 5 8:1\n/)
  })
})
