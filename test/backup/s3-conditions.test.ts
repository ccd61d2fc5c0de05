/** `ifAbsent` where targets know conditions, refuse them, or take them for nothing. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import type { S3TargetOptions } from '../../src/backup/s3.ts'
import { failFirst, inPieces, readAll, startServer, targetOf } from './s3-rig.ts'
import type { Held, S3ServerOptions } from './s3-server.ts'

const BYTES = Buffer.from('what is kept')
const OTHER = Buffer.from('what came later')
const PARTS = randomBytes(9_000_000)
const ABSENT = { ifAbsent: true }

const WAYS: readonly [string, S3ServerOptions, Partial<S3TargetOptions>][] = [
  ['keeps conditions', { conditions: 'kept' }, {}],
  ['keeps them of puts alone', { conditions: 'kept-in-puts' }, {}],
  ['refuses conditions', { conditions: 'refused' }, {}],
  ['takes conditions for nothing', { conditions: 'ignored' }, {}],
  ['is not to be asked', { conditions: 'refused' }, { conditionalPut: 'never' }],
]

describe('ifAbsent', () => {
  for (const [what, serverOptions, options] of WAYS) {
    it(`puts once to a target that ${what}`, async (t) => {
      const server = await startServer(t, serverOptions)
      const target = targetOf(t, server, options)
      for (const name of ['first', 'second']) {
        assert.equal(await target.put(name, BYTES, ABSENT), true)
        assert.equal(await target.put(name, OTHER, ABSENT), false)
        assert.equal(await target.put(name, inPieces(PARTS), ABSENT), false)
        assert.deepEqual(await readAll(target, name), BYTES)
      }
      assert.equal(await target.put('parts', inPieces(PARTS), ABSENT), true)
      assert.ok((await readAll(target, 'parts')).equals(PARTS))
      assert.equal(await target.put('parts', OTHER, ABSENT), false)
      assert.equal(server.uploads.size, 0)
    })

    it(`is false where another overtook it in a target that ${what}`, async (t) => {
      const server = await startServer(t, serverOptions)
      const target = targetOf(t, server, options)
      await target.put('theirs', OTHER)
      const theirs = server.objects.get('theirs') as Held
      for (const content of [BYTES, PARTS]) {
        const last = content === BYTES ? 'PUT' : 'POST uploadId'
        const isKept = serverOptions.conditions === 'kept'
        const isSure = isKept || (serverOptions.conditions === 'kept-in-puts' && last === 'PUT')
        server.objects.clear()
        server.fault = ({ kind, name }) => {
          // The very moment before ours comes, or behind it where nobody else would notice.
          const isBehind = kind === 'HEAD' && server.objects.has(name)
          if (isSure ? kind === last : isBehind) server.objects.set(name, theirs)
          return undefined
        }
        assert.equal(await target.put('object', content, ABSENT), false)
        assert.ok(server.objects.get('object')?.bytes.equals(OTHER))
      }
    })

    it(`is true where the answer was lost of a target that ${what}`, async (t) => {
      const server = await startServer(t, serverOptions)
      const target = targetOf(t, server, options)
      for (const [kind, name, content] of [
        ['PUT', 'object', BYTES],
        ['POST uploadId', 'parts', PARTS],
      ] as const) {
        failFirst(server, kind, { kind: 'lose-answer' })
        assert.equal(await target.put(name, content, ABSENT), true)
        assert.ok((await readAll(target, name)).equals(content))
        assert.equal(await target.put(name, OTHER, ABSENT), false)
      }
    })
  }

  it('asks a target once whether it keeps conditions', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server)
    for (const name of ['a', 'b', 'c']) await target.put(name, BYTES, ABSENT)
    assert.equal(server.count('PUT'), 4)
    assert.equal(server.seen.length, 4)
  })

  it('does not ask one that is not to be asked', async (t) => {
    const server = await startServer(t, { conditions: 'refused' })
    const target = targetOf(t, server, { conditionalPut: 'never' })
    await target.put('a', BYTES, ABSENT)
    await target.put('parts', inPieces(PARTS), ABSENT)
    assert.equal(
      server.seen.some(({ headers }) => 'if-none-match' in headers),
      false,
    )
  })

  it('is tried again where two were in the way of each other', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server)
    const conflict = { kind: 'answer', status: 409, code: 'ConditionalRequestConflict' } as const
    failFirst(server, 'PUT', conflict, conflict)
    assert.equal(await target.put('a', BYTES, ABSENT), true)
  })
})
