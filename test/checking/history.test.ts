import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { HistoryRecorder, readHistory } from './history.ts'
import { HistoryFile, readHistoryFiles } from './history-file.ts'

type Recorder = HistoryRecorder<string, number>

function record(write?: (line: string) => void, operationsMax = 10): Recorder {
  return new HistoryRecorder({ nowMs: () => 1e12, operationsMax, write })
}

function doAll(recorder: Recorder): void {
  const first = recorder.called(1, 'first')
  const second = recorder.called(2, 'second')
  recorder.called(3, 'open')
  recorder.done(first, 11)
  recorder.failed(second)
  const begun = recorder.called(4, 'begun')
  recorder.amended(begun, 'amended')
}

describe('a recorder', () => {
  it('keeps what was done, what is open, and not what failed', () => {
    const recorder = record()
    doAll(recorder)
    const kept = recorder.operations.map(({ client, input, output }) => [client, input, output])
    assert.deepEqual(kept, [
      [1, 'first', 11],
      [3, 'open', null],
      [4, 'amended', null],
    ])
    assert.ok(recorder.operations.slice(1).every(({ returnMs }) => returnMs === Infinity))
  })

  it('has all moments in the order in which it was told of them, though the clock stands', () => {
    for (const startMs of [-5, 0, 1e12]) {
      const recorder: Recorder = new HistoryRecorder({ nowMs: () => startMs, operationsMax: 3 })
      const first = recorder.called(1, 'first')
      recorder.done(first, 1)
      recorder.called(1, 'second')
      const [before, after] = recorder.operations
      const moments = [before?.callMs, before?.returnMs, after?.callMs] as number[]
      assert.deepEqual(
        moments,
        [...new Set(moments)].sort((a, b) => a - b),
      )
    }
  })

  it('is full at its bound, and forgets nothing', () => {
    const recorder = record(undefined, 2)
    recorder.called(1, 'a')
    assert.equal(recorder.isFull, false)
    recorder.called(1, 'b')
    assert.equal(recorder.isFull, true)
    assert.throws(() => recorder.called(1, 'c'), RangeError)
    assert.equal(recorder.operations.length, 2)
  })

  it('takes no second end', () => {
    const recorder = record()
    const call = recorder.called(1, 'a')
    recorder.done(call, 1)
    assert.throws(() => recorder.done(call, 2), /ended twice/)
    assert.throws(() => recorder.failed(call), /ended twice/)
  })
})

describe('a history', () => {
  it('is the same when its lines are read', () => {
    const lines: string[] = []
    const recorder = record((line) => lines.push(line))
    doAll(recorder)
    const text = lines.map((line) => `${line}\n`).join('')
    assert.deepEqual(readHistory(text), recorder.operations)
  })

  it('ends where its writer was killed', () => {
    const lines: string[] = []
    const recorder = record((line) => lines.push(line))
    const call = recorder.called(1, 'a')
    const open = recorder.operations
    recorder.done(call, 1)
    assert.deepEqual(readHistory(`${lines[0]}\n${lines[1]?.slice(0, 9)}`), open)
    // Without the end of its line it may be cut off, whole as it looks.
    assert.deepEqual(readHistory(`${lines[0]}\n${lines[1]}`), open)
  })

  it('is refused where a line within is damaged', () => {
    assert.throws(() => readHistory('{"call":1\n{"done":1}\n'), /line 1 of a history/)
    assert.throws(() => readHistory('{"done":1,"atMs":1,"output":1}\n'), /line 1 of a history/)
  })

  it('goes through files, several of one history', () => {
    const directory = mkdtempSync(join(tmpdir(), 'colmena-history-'))
    try {
      const paths = ['a', 'b'].map((name) => join(directory, name))
      const recorders = paths.map((path, at) => {
        const file = new HistoryFile(path)
        const nowMs = (): number => 10 - at
        const recorder: Recorder = new HistoryRecorder({
          nowMs,
          operationsMax: 1,
          write: file.write,
        })
        recorder.called(at, `of ${at}`)
        // It is there though nobody closed the file.
        assert.match(readFileSync(path, 'utf8'), /^\{.*\}\n$/)
        file[Symbol.dispose]()
        return recorder
      })
      const [first, second] = recorders.map(({ operations }) => operations)
      assert.deepEqual(readHistoryFiles(paths), [...(second ?? []), ...(first ?? [])])
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})
