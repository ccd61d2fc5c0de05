/** The suite that targets are held to, on servers that speak S3 and take only what is signed. */
import assert from 'node:assert/strict'
import dns from 'node:dns'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, mock } from 'node:test'
// @ts-expect-error: it has no types
import S3rver from '@20minutes/s3rver'
import { testTarget } from '../../src/backup/backup.ts'
import { s3Target } from '../../src/backup/s3.ts'
import { BUCKET, KEY, S3Server, SECRET } from './s3-server.ts'

const WRITES_IN_PLACE = 'it writes objects over those that are there'
const LISTS_FOLDERS = 'it lists folder by folder, not in the order of names'
/** What the server of others does not do itself, and why. */
const NOT_OF_OTHERS: ReadonlyMap<string, string> = new Map([
  ['who reads while an object is replaced sees one of both, whole', WRITES_IN_PLACE],
  ['of those who put ifAbsent at once, exactly one is told that it did', WRITES_IN_PLACE],
  ['calls run at the same time', WRITES_IN_PLACE],
  ['folders come and go with their objects', WRITES_IN_PLACE],
  ['a list is in the order of the characters of names', LISTS_FOLDERS],
  ['a list has what begins with the prefix, and nothing else', LISTS_FOLDERS],
  ['names may be as long and as odd as they may be', LISTS_FOLDERS],
  ['a list has more than 1,000 objects', 'its tokens need a cipher that Node.js has no more'],
])

describe('a bucket of a server of others', () => {
  const folder = mkdtempSync(join(tmpdir(), 'colmena-s3-'))
  const configureBuckets = [{ name: BUCKET }]
  const server = new S3rver({ port: 0, silent: true, directory: folder, configureBuckets })
  let endpoint = ''
  before(async () => {
    const { port }: AddressInfo = await server.run()
    endpoint = `http://localhost:${port}`
  })
  after(async () => {
    await server.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const makeTarget = () =>
    s3Target({
      bucket: BUCKET,
      endpoint,
      pathStyle: true,
      accessKeyId: 'S3RVER',
      secretAccessKey: 'S3RVER',
    })
  for (const { name, run } of testTarget(makeTarget)) {
    if (!NOT_OF_OTHERS.has(name)) it(name, run)
  }

  it('has no case left out that the suite does not have', () => {
    const names = new Set(testTarget(makeTarget).map(({ name }) => name))
    for (const name of NOT_OF_OTHERS.keys()) assert.ok(names.has(name), name)
  })
})

for (const isVirtualHost of [false, true]) {
  describe(`a bucket whose name is in the ${isVirtualHost ? 'host' : 'path'}`, () => {
    const server = new S3Server({ isVirtualHost })
    before(() => server.listen())
    after(() => server.close())
    // Not every machine knows hosts below localhost.
    const { lookup } = dns
    const ofLoopback = (_: string, ...rest: unknown[]): void => {
      Reflect.apply(lookup, dns, ['localhost', ...rest])
    }
    before(() => mock.method(dns, 'lookup', ofLoopback))
    after(() => mock.restoreAll())
    const makeTarget = () =>
      s3Target({
        bucket: BUCKET,
        endpoint: server.endpoint,
        pathStyle: !isVirtualHost,
        prefix: 'some/where',
        accessKeyId: KEY,
        secretAccessKey: SECRET,
      })
    for (const { name, run } of testTarget(makeTarget)) it(name, run)
  })
}
