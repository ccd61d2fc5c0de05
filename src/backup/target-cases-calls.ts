/** Of `testTarget`: how calls run beside one another, and how they end. */
import assert from 'node:assert/strict'
import {
  assertSame,
  bytesOf,
  drain,
  inTime,
  MIB,
  piecesOf,
  type Rig,
  rejects,
} from './target-rig.ts'

type Check = (rig: Rig) => Promise<void>

const AT_ONCE = 20
const BYTES = bytesOf(1_000, 31)
const PARTS = bytesOf(9 * MIB, 32)

export const CALL_CASES: Readonly<Record<string, Check>> = {
  'calls run at the same time': async (rig) => {
    const contents = Array.from({ length: AT_ONCE }, (_, at) => bytesOf(90_000 + at, 40 + at))
    const all = async (run: (at: number) => Promise<unknown>): Promise<void> => {
      await Promise.all(contents.map((_, at) => run(at)))
    }
    await all((at) => rig.put(`at-once/${at}`, piecesOf(contents[at] as Uint8Array)))
    await all(async (at) => {
      await rig.assertHolds(`at-once/${at}`, contents[at] as Uint8Array, `object ${at}`)
      assert.equal((await rig.names('at-once/')).length, AT_ONCE)
    })
    await all((at) => (at % 2 === 0 ? rig.delete(`at-once/${at}`) : rig.get(`at-once/${at}`)))
    assert.equal((await rig.names('at-once/')).length, AT_ONCE / 2)
    await all((at) => rig.put('same', contents[at] as Uint8Array))
    const last = await rig.get('same')
    assertSame(last, contents[last.length - 90_000] as Uint8Array, 'put by all at once')
  },

  'folders come and go with their objects': async (rig) => {
    await Promise.all(
      Array.from({ length: AT_ONCE }, async (_, at) => {
        for (let turn = 0; turn < 10; turn += 1) {
          await rig.put(`come/and/go/${at}`, BYTES)
          await rig.delete(`come/and/go/${at}`)
        }
      }),
    )
    assert.deepEqual(await rig.names(), [])
  },

  'a call whose signal is aborted does nothing': async (rig) => {
    await rig.put('kept', BYTES)
    const call = { signal: AbortSignal.abort(new Error('not now')) }
    const { target } = rig
    await rejects(target.put(rig.name('none'), BYTES, call), 'ERR_ABORTED', 'put')
    await rejects(target.delete(rig.name('kept'), call), 'ERR_ABORTED', 'delete')
    await rejects(rig.get('kept', call), 'ERR_ABORTED', 'get')
    const listed = drain(target.list(rig.folder, call))
    await rejects(listed, 'ERR_ABORTED', 'list')
    await rig.assertHolds('kept', BYTES, 'which was not deleted')
    await rig.assertMissing('none', 'which was not put')
  },

  'a put ends by its signal while it waits for a piece': async (rig) => {
    for (const [rest, before] of [
      ['little', BYTES],
      ['parts', PARTS],
    ] as const) {
      const ended = new AbortController()
      const content = stuck(before, () => ended.abort(new Error('enough')))
      const call = { signal: ended.signal }
      const put = rig.target.put(rig.name(rest), content, call)
      await rejects(inTime('put', put), 'ERR_ABORTED', `put of ${rest}`)
      await rig.assertMissing(rest, 'a put that was ended')
    }
    await rig.put('little', BYTES)
    await rig.assertHolds('little', BYTES, 'put again')
  },

  'get and list end by their signal between two pieces': async (rig) => {
    await rig.put('long', PARTS)
    await rig.put('short', BYTES)
    const calls = {
      get: (signal: AbortSignal) => rig.target.get(rig.name('long'), { signal }),
      list: (signal: AbortSignal) => rig.target.list(rig.folder, { signal }),
    }
    for (const [what, call] of Object.entries(calls)) {
      const ended = new AbortController()
      const pieces: AsyncIterator<unknown> = call(ended.signal)[Symbol.asyncIterator]()
      assert.notEqual((await inTime(what, pieces.next())).done, true)
      ended.abort(new Error('enough'))
      // What was there already may still come; the end must not.
      const drained = (async () => {
        while ((await pieces.next()).done !== true);
      })()
      await rejects(inTime(what, drained), 'ERR_ABORTED', `${what} went on to its end`)
    }
    await rig.assertHolds('long', PARTS, 'behind calls that were ended')
  },

  'a get that is given up holds nothing up': async (rig) => {
    await rig.put('long', PARTS)
    for (let turn = 0; turn < AT_ONCE; turn += 1) {
      for await (const piece of rig.target.get(rig.name('long'))) {
        assert.ok(piece.length > 0)
        break
      }
    }
    await rig.assertHolds('long', PARTS, 'behind gets that were given up')
  },

  'close ends what is under way and what comes after, and may come twice': async (rig) => {
    const { target } = rig
    const begun = Promise.withResolvers<void>()
    const put = target.put(
      rig.name('under-way'),
      stuck(BYTES, () => begun.resolve()),
    )
    const ended = rejects(put, 'ERR_CLOSED', 'a put under way')
    await inTime('put', Promise.race([begun.promise, ended]))
    await inTime('close', target.close())
    await inTime('put', ended)
    await inTime('close', target.close())
    await rejects(target.put(rig.name('late'), BYTES), 'ERR_CLOSED', 'put')
    await rejects(target.delete(rig.name('late')), 'ERR_CLOSED', 'delete')
    await rejects(drain(target.get(rig.name('late'))), 'ERR_CLOSED', 'get')
    await rejects(drain(target.list(rig.folder)), 'ERR_CLOSED', 'list')
  },
}

/** Gives the content and then nothing, for ever; says so where it is asked for more. */
async function* stuck(content: Uint8Array, asked: () => void): AsyncIterable<Uint8Array> {
  yield* piecesOf(content)
  asked()
  await new Promise<never>(() => {})
}
