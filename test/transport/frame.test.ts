import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatAddress, parseAddress } from '../../src/transport/address.ts'
import { type Frame, FrameError, FrameReader } from '../../src/transport/frame.ts'
import { frameBytes } from './raw-peer.ts'

const frames = fc.array(
  fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 200 })).map(([kind, body]) => ({ kind, body })),
  {
    maxLength: 8,
  },
)

function readAll(reader: FrameReader): Frame[] {
  const all: Frame[] = []
  for (let frame = reader.next(); frame !== null; frame = reader.next()) all.push(frame)
  return all
}

test('frames come out as they went in, however the stream is cut', () => {
  fc.assert(
    fc.property(
      frames,
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
      (made, cuts) => {
        const stream = Buffer.concat(made.map(({ kind, body }) => frameBytes(kind, body)))
        const reader = new FrameReader(200)
        const read: Frame[] = []
        for (let at = 0, i = 0; at < stream.length; i += 1) {
          const size = cuts[i % cuts.length] as number
          reader.push(stream.subarray(at, at + size))
          at += size
          read.push(...readAll(reader))
        }
        assert.deepEqual(read, made)
      },
    ),
  )
})

test('a changed bit anywhere is noticed, or leaves the reader waiting', () => {
  const stream = frameBytes(5, Buffer.from('the body of a frame'))
  for (let bit = 0; bit < stream.length * 8; bit += 1) {
    const damaged = Buffer.from(stream)
    damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7))
    const reader = new FrameReader(1000)
    reader.push(damaged)
    let read: Frame | null = null
    try {
      read = reader.next()
    } catch (error) {
      assert.ok(error instanceof FrameError)
    }
    assert.equal(read, null, `bit ${bit} went unnoticed`)
  }
})

test('a frame of any length is a frame, also one that begins as TLS does', () => {
  const bodyBytesMax = 70_000
  const reader = new FrameReader(bodyBytesMax)
  const lengths = [...Array(2_000).keys(), 65_535 + 789, 65_535 + 790, 66_325, 66_326, bodyBytesMax]
  for (const length of lengths) {
    reader.push(frameBytes(9, Buffer.alloc(length, 1)))
    assert.equal(reader.next()?.body.length, length)
  }
})

test('what begins as TLS does, and is no frame, is named', () => {
  const reader = new FrameReader(4_096)
  reader.push(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1]))
  assert.throws(() => reader.next(), /speaks TLS/)
})

test('a length beyond the limit is refused before its bytes come', () => {
  const reader = new FrameReader(100)
  reader.push(frameBytes(1, new Uint8Array(101)).subarray(0, 8))
  assert.throws(() => reader.next(), /announces 102 bytes/)
  const exact = new FrameReader(100)
  exact.push(frameBytes(1, new Uint8Array(100)))
  assert.equal(exact.next()?.body.length, 100)
})

test('addresses', () => {
  assert.deepEqual(parseAddress('127.0.0.1:9000'), { host: '127.0.0.1', port: 9000 })
  assert.deepEqual(parseAddress('node-1.example:1'), { host: 'node-1.example', port: 1 })
  assert.deepEqual(parseAddress('[::1]:9000'), { host: '::1', port: 9000 })
  assert.deepEqual(parseAddress('[fe80::1%eth0]:65535'), { host: 'fe80::1%eth0', port: 65_535 })
  assert.equal(formatAddress('::1', 9000), '[::1]:9000')
  assert.equal(formatAddress('127.0.0.1', 9000), '127.0.0.1:9000')
  for (const wrong of [
    '',
    'host',
    'host:',
    ':9000',
    '::1:9000',
    '[::1]',
    'a:70000',
    'a:-1',
    'a b:1',
  ]) {
    assert.throws(() => parseAddress(wrong), { code: 'ERR_INVALID_ARGUMENT' }, wrong)
  }
})
