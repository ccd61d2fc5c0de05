import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { Keys } from '../../src/backup/keys.ts'
import { seal, unseal } from '../../src/backup/sealing.ts'
import type { Bytes } from '../../src/backup/streams.ts'

const TARGET = { label: 'here' }
const NAME = 'generation/object'
const NONE = new Keys(undefined)
const ONE = new Keys({ keyId: 'one', key: randomBytes(32) })
const SIZES = [0, 1, 1_000, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 600 * 1024]

async function* inPieces(bytes: Uint8Array, size: number): Bytes {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function gather(source: Bytes): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of source) pieces.push(piece)
  return Buffer.concat(pieces)
}

function sealed(content: Uint8Array, keys: Keys, name = NAME): Promise<Buffer> {
  return gather(seal(name, inPieces(content, 70_001), keys.current))
}

function unsealed(bytes: Uint8Array, keys: Keys, name = NAME): Promise<Buffer> {
  return gather(unseal(TARGET, name, inPieces(bytes, 50_021), keys))
}

const damaged = (what: RegExp) => (error: { code?: string; message: string }) => {
  assert.equal(error.code, 'ERR_BACKUP_DAMAGED')
  assert.match(error.message, /^here: generation\/object /)
  assert.match(error.message, what)
  return true
}

for (const [kind, keys] of [
  ['a sealed object', NONE],
  ['an encrypted object', ONE],
] as const) {
  describe(kind, () => {
    it('holds what was put, whatever its size', async () => {
      for (const size of SIZES) {
        const content = randomBytes(size)
        assert.ok(content.equals(await unsealed(await sealed(content, keys), keys)), String(size))
      }
    })

    it('says so where a byte is another one, wherever it is', async () => {
      const bytes = await sealed(randomBytes(300 * 1024), keys)
      const places = [0, 6, 7, 8, 9, 30, 50, 200, 100_000, bytes.length - 40, bytes.length - 1]
      for (const place of places) {
        const broken = Buffer.from(bytes)
        broken[place] = (broken[place] as number) ^ 0x41
        await assert.rejects(unsealed(broken, keys), { code: 'ERR_BACKUP_DAMAGED' }, String(place))
      }
    })

    it('says so where it is cut short or goes on', async () => {
      const bytes = await sealed(randomBytes(300 * 1024), keys)
      for (const length of [0, 5, 9, 40, 60, 1_000, 262_250, bytes.length - 33, bytes.length - 1]) {
        await assert.rejects(unsealed(bytes.subarray(0, length), keys), damaged(/cut short/))
      }
      await assert.rejects(unsealed(Buffer.concat([bytes, bytes]), keys), damaged(/behind its end/))
    })

    it('passes for no other object', async () => {
      const bytes = await sealed(randomBytes(10), keys)
      await assert.rejects(unsealed(bytes, keys, 'generation/other'), {
        code: 'ERR_BACKUP_DAMAGED',
      })
    })
  })
}

describe('an encrypted object', () => {
  it('shows nothing of what it holds, and is another each time', async () => {
    const content = Buffer.alloc(1_000, 'secret')
    const [first, second] = [await sealed(content, ONE), await sealed(content, ONE)]
    assert.equal(first.includes('secret'), false)
    assert.equal(first.equals(second), false)
  })

  it('names the key that is missing, and refuses another of that id', async () => {
    const bytes = await sealed(Buffer.from('content'), ONE)
    const two = { keyId: 'two', key: randomBytes(32) }
    await assert.rejects(unsealed(bytes, new Keys(two)), damaged(/key 'one', which was not given/))
    const wrong = new Keys({ keyId: 'one', key: randomBytes(32) })
    await assert.rejects(unsealed(bytes, wrong), damaged(/its key is another one of that id/))
    await assert.rejects(unsealed(bytes, NONE), damaged(/key 'one', which was not given/))
  })

  it('is read by an old key once there is a new one', async () => {
    const key = randomBytes(32)
    const bytes = await sealed(Buffer.from('content'), new Keys({ keyId: 'old', key }))
    const next = new Keys({
      keyId: 'new',
      key: randomBytes(32),
      oldKeys: { old: key.toString('hex') },
    })
    assert.equal(String(await unsealed(bytes, next)), 'content')
  })

  it('is not replaced by one that is not', async () => {
    const bytes = await sealed(Buffer.from('content'), NONE)
    await assert.rejects(unsealed(bytes, ONE), damaged(/anybody could have put it/))
  })

  it('has frames that stay where they are', async () => {
    const bytes = await sealed(Buffer.alloc(3 * 256 * 1024, 7), ONE)
    const head = 6 + 3 + 3 + 32
    const frame = 4 + 256 * 1024 + 16
    const swapped = Buffer.concat([
      bytes.subarray(0, head),
      bytes.subarray(head + frame, head + 2 * frame),
      bytes.subarray(head, head + frame),
      bytes.subarray(head + 2 * frame),
    ])
    assert.equal(swapped.length, bytes.length)
    await assert.rejects(unsealed(swapped, ONE), damaged(/is damaged/))
  })
})

describe('keys', () => {
  it('are refused unless they are whole', () => {
    const key = randomBytes(32)
    for (const [options, what] of [
      [{ keyId: '', key }, /keyId has 1 to 64/],
      [{ keyId: 'a b', key }, /keyId has 1 to 64/],
      [{ keyId: 'a', key: randomBytes(31) }, /key 'a' must be 32 bytes/],
      [{ keyId: 'a', key: 'x'.repeat(64) }, /key 'a' must be 32 bytes/],
      [{ keyId: 'a', key, oldKeys: { b: 'ff' } }, /key 'b' must be 32 bytes/],
      [null, /encryption is an object/],
    ] as const) {
      const error = { code: 'ERR_INVALID_OPTION', message: what }
      assert.throws(() => new Keys(options as never), error)
    }
  })
})
