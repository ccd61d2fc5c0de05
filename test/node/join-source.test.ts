import assert from 'node:assert/strict'
import { it } from 'node:test'
import { JoinSources } from '../../src/node/join-source.ts'
import { until } from '../processes/wait.ts'

type Answer = () => unknown

/** Answers one after the other; the last one for ever. */
function startAsking(t: { after(fn: () => void): void }, answers: readonly Answer[]) {
  const found: (readonly string[])[] = []
  const warnings: string[] = []
  const signals: AbortSignal[] = []
  const sources = new JoinSources({
    source: ({ signal }) => {
      const answer = answers[Math.min(signals.length, answers.length - 1)] as Answer
      signals.push(signal)
      return answer() as readonly string[]
    },
    isLed: () => false,
    hurryMs: 1,
    found: (addresses) => found.push(addresses),
    warn: (message) => warnings.push(message),
  })
  t.after(() => sources.close())
  return { found, warnings, signals, sources }
}

it('asks on after a source that fails or answers nonsense, and tells each once', async (t) => {
  const fails = (): never => {
    throw new Error('no such name')
  }
  const { found, warnings } = startAsking(t, [
    fails,
    fails,
    () => Promise.reject(new Error('no answer')),
    () => 'a:1',
    () => ['a'],
    async () => ['b:2', 'a:1', 'b:2'],
  ])
  await until('it has addresses', () => found.length > 0)
  assert.deepEqual(found, [['a:1', 'b:2']])
  assert.equal(warnings.length, 4)
  assert.match(warnings[0] as string, /no such name; it is asked again/)
  assert.match(warnings[1] as string, /no answer; it is asked again/)
  assert.match(warnings[2] as string, /no list of addresses; it is asked again/)
  assert.match(warnings[3] as string, /"a", which is no address.*; it is asked again/)
})

it('tells that it has answered, also where that is that nobody is there', async (t) => {
  const { found, signals } = startAsking(t, [() => [], () => [], () => ['a:1'], () => []])
  await until('it was asked on', () => signals.length > 6)
  assert.deepEqual(found, [[], ['a:1'], []])
})

it('passes on what is new alone', async (t) => {
  const { found, signals } = startAsking(t, [
    () => ['a:1'],
    () => ['a:1'],
    () => ['a:1', 'b:2'],
    () => ['b:2', 'a:1'],
  ])
  await until('it was asked on', () => signals.length > 8)
  assert.deepEqual(found, [['a:1'], ['a:1', 'b:2']])
})

it('passes on that nobody is there, which is not the same as no answer', async (t) => {
  const fails = (): never => {
    throw new Error('no such name')
  }
  const { found, signals } = startAsking(t, [fails, () => [], () => [], () => ['a:1']])
  await until('it was asked on', () => signals.length > 5)
  assert.deepEqual(found, [[], ['a:1']])
})

it('asks no more once it is closed, and says so to who is asked', async (t) => {
  const { found, warnings, signals, sources } = startAsking(t, [() => new Promise(() => {})])
  await until('it was asked', () => signals.length > 0)
  sources.close()
  sources.close()
  assert.equal(signals[0]?.aborted, true)
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual([found, warnings, signals.length], [[], [], 1])
})
