/** Of `testTarget`: what an object is. */
import assert from 'node:assert/strict'
import { assertSame, bytesOf, MIB, piecesOf, type Rig, rejects } from './target-rig.ts'

type Check = (rig: Rig) => Promise<void>

const RACERS = 20
const BIG_BYTES = 20 * MIB + 4_321
/** Beyond what a target sends at once. */
const PARTS_BYTES = 9 * MIB
const OLD = bytesOf(70_000, 1)
const NEW = bytesOf(50_000, 2)

export const OBJECT_CASES: Readonly<Record<string, Check>> = {
  'an object comes back as it was put': async (rig) => {
    await rig.put('bytes', OLD)
    await rig.assertHolds('bytes', OLD, 'put as one Uint8Array')
    await rig.put('pieces', withEmptyOnes(piecesOf(NEW, 777)))
    await rig.assertHolds('pieces', NEW, 'put in pieces, some of them empty')
  },

  'an object may be empty': async (rig) => {
    await rig.put('bytes', new Uint8Array(0))
    await rig.put('pieces', piecesOf(new Uint8Array(0)))
    for (const rest of ['bytes', 'pieces']) {
      assert.equal((await rig.get(rest)).length, 0)
    }
    const sizes = (await rig.list()).map(({ sizeBytes }) => sizeBytes)
    assert.deepEqual(sizes, [0, 0], 'both are listed, with their size')
  },

  'an object of 20 MiB goes in and comes out in pieces': async (rig) => {
    const content = bytesOf(BIG_BYTES, 3)
    await rig.put('big', piecesOf(content))
    let atBytes = 0
    let largestBytes = 0
    for await (const piece of rig.target.get(rig.name('big'))) {
      assertSame(piece, content.subarray(atBytes, atBytes + piece.length), `from ${atBytes}`)
      atBytes += piece.length
      largestBytes = Math.max(largestBytes, piece.length)
    }
    assert.equal(atBytes, BIG_BYTES, 'as long as it was put')
    assert.ok(largestBytes <= BIG_BYTES / 2, 'no piece is the whole of it')
    assert.equal((await rig.list())[0]?.sizeBytes, BIG_BYTES)
  },

  'a piece may be used again once the next one is asked for': async (rig) => {
    const content = bytesOf(PARTS_BYTES, 4)
    await rig.put('reused', reusing(content))
    await rig.assertHolds('reused', content, 'put from one buffer that was filled anew')
  },

  'pieces are asked for once, one after the other': async (rig) => {
    const content = bytesOf(PARTS_BYTES, 5)
    const source = new StrictSource(content)
    await rig.put('strict', source)
    await rig.assertHolds('strict', content, 'put from a source that is asked once')
    assert.deepEqual(source.slips, [])
  },

  'a put replaces the whole object': async (rig) => {
    await rig.put('replaced', OLD)
    await rig.put('replaced', NEW)
    await rig.assertHolds('replaced', NEW, 'a shorter one in place of a longer one')
    assert.deepEqual(
      (await rig.list()).map(({ sizeBytes }) => sizeBytes),
      [NEW.length],
    )
  },

  'who reads while an object is replaced sees one of both, whole': async (rig) => {
    const versions = [bytesOf(MIB, 6), bytesOf(MIB + 5, 7)] as const
    await rig.put('changing', versions[0])
    let isRead = false
    const replacing = (async () => {
      for (let at = 1; !isRead; at += 1) {
        await rig.put('changing', piecesOf(versions[at % 2 === 0 ? 0 : 1]))
        await new Promise(setImmediate)
      }
    })()
    replacing.catch(() => {})
    try {
      for (let turn = 0; turn < 10; turn += 1) {
        const seen = await rig.get('changing')
        assertSame(seen, versions[seen.length === MIB ? 0 : 1], 'read while it was replaced')
      }
    } finally {
      isRead = true
    }
    await replacing
  },

  'a content that throws leaves nothing, and is thrown on': async (rig) => {
    for (const [rest, behindBytes] of [
      ['at-once', 0],
      ['half-way', 40_000],
      ['behind-parts', PARTS_BYTES],
    ] as const) {
      const failure = new Error(`this content ends behind ${behindBytes} bytes`)
      const put = rig.target.put(rig.name(rest), failing(bytesOf(behindBytes, 8), failure))
      await assert.rejects(put, (error) => error === failure, `${rest}: throws what it was thrown`)
      await rig.assertMissing(rest, `${rest}: a put that failed`)
      await rig.put(rest, NEW)
      await rig.assertHolds(rest, NEW, `${rest}: the same put again`)
    }
  },

  'a content that throws leaves the object that was there': async (rig) => {
    await rig.put('kept', OLD)
    const put = rig.target.put(rig.name('kept'), failing(NEW, new Error('this content ends')))
    await assert.rejects(put, /this content ends/)
    await rig.assertHolds('kept', OLD, 'behind a put that failed')
  },

  'ifAbsent puts only where there is none': async (rig) => {
    assert.equal(await rig.putIfAbsent('one', OLD), true, 'where there is none')
    assert.equal(await rig.putIfAbsent('one', NEW), false, 'where there is one')
    await rig.assertHolds('one', OLD, 'what was there stays')
    const parts = bytesOf(PARTS_BYTES, 9)
    assert.equal(await rig.putIfAbsent('one', piecesOf(parts)), false, 'of many pieces')
    await rig.assertHolds('one', OLD, 'what was there stays')
    assert.equal(await rig.putIfAbsent('other', piecesOf(parts)), true, 'of many pieces')
    await rig.assertHolds('other', parts, 'put where there was none')
    await rig.delete('one')
    assert.equal(await rig.putIfAbsent('one', NEW), true, 'where it was deleted')
    await rig.assertHolds('one', NEW, 'put where it was deleted')
  },

  'of those who put ifAbsent at once, exactly one is told that it did': async (rig) => {
    const contents = Array.from({ length: RACERS }, (_, at) => bytesOf(5_000 + at, 10 + at))
    const won = await Promise.all(
      contents.map((content) => rig.putIfAbsent('raced', piecesOf(content, 999))),
    )
    assert.equal(won.filter(Boolean).length, 1, `${won.filter(Boolean).length} were told so`)
    const winner = contents[won.indexOf(true)] as Uint8Array
    await rig.assertHolds('raced', winner, 'what is there is what the one who won put')
  },

  'an object that is not there is ERR_NOT_FOUND': async (rig) => {
    await rig.put('folder/object', OLD)
    for (const rest of ['never', 'folder', 'folder/obj', 'folder/object.not']) {
      await rejects(rig.get(rest), 'ERR_NOT_FOUND', `get of ${rest}`)
    }
    await rig.delete('folder/object')
    await rejects(rig.get('folder/object'), 'ERR_NOT_FOUND', 'get of what was deleted')
  },

  'delete removes one object, and is content where there is none': async (rig) => {
    await rig.put('folder/gone', OLD)
    await rig.put('folder/stays', NEW)
    await rig.delete('folder/gone')
    await rig.assertMissing('folder/gone', 'deleted')
    await rig.delete('folder/gone')
    await rig.delete('folder/never')
    await rig.delete('never/there')
    await rig.assertHolds('folder/stays', NEW, 'beside what was deleted')
  },
}

async function* withEmptyOnes(pieces: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  for await (const piece of pieces) {
    yield new Uint8Array(0)
    yield piece
  }
  yield new Uint8Array(0)
}

async function* failing(content: Uint8Array, failure: Error): AsyncIterable<Uint8Array> {
  yield* piecesOf(content)
  throw failure
}

async function* reusing(content: Uint8Array): AsyncIterable<Uint8Array> {
  const buffer = new Uint8Array(100_000)
  for (let at = 0; at < content.length; at += buffer.length) {
    const piece = content.subarray(at, at + buffer.length)
    buffer.set(piece)
    yield buffer.subarray(0, piece.length)
    buffer.fill(0xff)
  }
}

/** As no generator does, it notices who asks before it has answered. */
class StrictSource implements AsyncIterable<Uint8Array> {
  readonly slips: string[] = []
  readonly #pieces: AsyncIterator<Uint8Array>
  #asked = 0
  #isAsking = false

  constructor(content: Uint8Array) {
    this.#pieces = piecesOf(content)
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    this.#asked += 1
    if (this.#asked > 1) this.slips.push('the content was begun twice')
    return {
      next: async () => {
        if (this.#isAsking) this.slips.push('a piece was asked for before the last one came')
        this.#isAsking = true
        await new Promise(setImmediate)
        const result = await this.#pieces.next()
        this.#isAsking = false
        return result
      },
    }
  }
}
