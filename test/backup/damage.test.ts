/** Whatever becomes of an object, a restore names it, or comes to what was there without it. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { BackupOptions, EncryptionOptions } from '../../src/backup/backup.ts'
import { Keys } from '../../src/backup/keys.ts'
import { Store } from '../../src/backup/store.ts'
import { type ColmenaNode, isColmenaError, open, rollLog } from '../../src/index.ts'
import { SeededRandom } from '../simulated/random.ts'
import { type Finished, finishBackup, type Known } from './finished-backup.ts'
import { MemoryTarget } from './memory-target.ts'
import { contentOf, damagesOf, type RestoredContent } from './restored.ts'
import { type Objects, objectsOf, type Spoiled, spoil } from './spoiling.ts'

const KEY = 'a1'.repeat(32)
const OTHER_KEY = 'b2'.repeat(32)
const encryption: EncryptionOptions = { keyId: 'of-2026', key: KEY }

const FORMS: Readonly<Record<string, { options: Partial<BackupOptions>; places: number }>> = {
  plain: { options: {}, places: 4 },
  compressed: { options: { compression: 'zstd' }, places: 2 },
  encrypted: { options: { compression: 'zstd', encryption }, places: 2 },
}

const directory = mkdtempSync(join(tmpdir(), 'colmena-damaged-'))
const backups = new Map<string, Finished>()

before(async () => {
  const node: ColmenaNode = await open({ dataDir: join(directory, 'one'), nodeId: 'one' })
  await node.waitForLeader()
  for (const [form, { options }] of Object.entries(FORMS)) {
    backups.set(form, await finishBackup(node, options, new SeededRandom(form)))
  }
  await node.close()
})

after(() => rmSync(directory, { recursive: true, force: true }))

function backupOf(form: string): Finished {
  const finished = backups.get(form)
  assert.ok(finished !== undefined)
  return finished
}

function targetOf(objects: Objects): MemoryTarget {
  return new MemoryTarget(
    new Map([...objects].map(([name, bytes]) => [name, { bytes, modifiedMs: 0 }])),
  )
}

/** What it came to; null where it named what is damaged. Nothing else may be. */
async function restoreOrName(
  { what, objects, names }: Spoiled,
  known: Known,
  keys: EncryptionOptions | undefined,
  isLatest: boolean,
): Promise<RestoredContent | null> {
  const wanted = isLatest
    ? ({ kind: 'latest' } as const)
    : ({ kind: 'index', index: known.index } as const)
  let content: RestoredContent
  try {
    content = await contentOf(targetOf(objects), wanted, keys)
  } catch (error) {
    assert.ok(isColmenaError(error), `${what}: ${error}`)
    assert.equal(error.code, 'ERR_BACKUP_DAMAGED', `${what}: ${error.message}`)
    assert.ok(isNamed(error.message, names), `${what}, and it is told of: ${error.message}`)
    return null
  }
  assert.equal(content.index, known.index, what)
  const { 'system.db': _, ...hashes } = content.hashes
  assert.deepEqual(hashes, known.hashes, what)
  return content
}

async function requireFound(
  { what, objects, names }: Spoiled,
  keys: EncryptionOptions | undefined,
): Promise<void> {
  const damages = await damagesOf(targetOf(objects), keys)
  // They led to the right content, as was seen: what was right once, and more behind zstd's end.
  const mayPass = /an older one of it$|\.zst: twice in a row$/.test(what)
  assert.ok(mayPass || isNamed(damages.join('\n'), names), `${what}, found: ${damages.join('\n')}`)
}

/** An object by its name, or the entries that are missing with it. */
function isNamed(message: string, names: readonly string[]): boolean {
  return (
    names.some((name) => message.includes(name)) ||
    (/misses entries|are missing/.test(message) && names.some((name) => name.includes('/log/')))
  )
}

suite('a backup', () => {
  for (const form of Object.keys(FORMS)) {
    const keys = FORMS[form]?.options.encryption
    test(`that is ${form} comes to what its node held`, async () => {
      const { target, known } = backupOf(form)
      const whole = { what: 'nothing', objects: objectsOf(target), names: [] }
      for (const [at, each] of known.entries()) {
        const content = await restoreOrName(whole, each, keys, at === 2)
        assert.deepEqual(content?.damages, [])
      }
      assert.deepEqual(await damagesOf(target, keys), [])
    })

    test(`that is ${form} and damaged says so, or does without what is damaged`, async () => {
      const finished = backupOf(form)
      const [first, second, last] = finished.known
      const results: (RestoredContent | null)[] = []
      const wrong: string[] = []
      for (const spoiled of spoil(finished, FORMS[form]?.places ?? 0)) {
        try {
          const result = await restoreOrName(spoiled, last, keys, true)
          results.push(result)
          // It was not met there: an earlier moment may be behind it.
          const early = spoiled.names[0]?.includes('/log/') ? first : second
          if (result?.damages.length === 0) {
            results.push(await restoreOrName(spoiled, early, keys, false))
          }
          await requireFound(spoiled, keys)
        } catch (error) {
          wrong.push((error as Error).message)
        }
      }
      assert.deepEqual(wrong, [])
      const refused = results.filter((result) => result === null).length
      const counts = `${refused} of ${results.length} were refused`
      assert.ok(refused > 50 && results.length - refused > 50, counts)
    })
  }
})

suite('a segment', () => {
  for (const [which, at] of [
    ['behind the first snapshot', 0],
    ['behind another one', -2],
  ] as const) {
    test(`${which} that is whole, and of another history, is named`, async () => {
      const { known, target } = backupOf('plain')
      const spoiled = targetOf(objectsOf(target))
      const store = new Store(spoiled, new Keys(undefined))
      const name = (await store.generations())[0]?.segments.at(at)
      assert.ok(name !== undefined)
      const { chunks, ...header } = await store.segment(name)
      const before = 'ab'.repeat(32)
      const after = chunks.reduce<Uint8Array>(
        (digest, chunk) => rollLog(digest, chunk),
        Buffer.from(before, 'hex'),
      )
      const forged = { ...header, chunks, before, after: Buffer.from(after).toString('hex') }
      await store.putSegment(name.name, forged)
      const { index } = at === 0 ? known[0] : known[2]
      await assert.rejects(contentOf(spoiled, { kind: 'index', index }), {
        code: 'ERR_BACKUP_DAMAGED',
        message: `memory: ${name.name} does not go on from the entries before it`,
      })
    })
  }
})

suite('an encrypted backup', () => {
  const attempt = (keys: EncryptionOptions | undefined): Promise<RestoredContent> =>
    contentOf(backupOf('encrypted').target, { kind: 'latest' }, keys)

  test('is read by nobody with another key, or none', async () => {
    await assert.rejects(attempt(undefined), {
      code: 'ERR_BACKUP_DAMAGED',
      message: /backup\.json was sealed with the key 'of-2026', which was not given/,
    })
    await assert.rejects(attempt({ keyId: 'mine', key: KEY }), {
      code: 'ERR_BACKUP_DAMAGED',
      message: /'of-2026', which was not given/,
    })
    await assert.rejects(attempt({ keyId: 'of-2026', key: OTHER_KEY }), {
      code: 'ERR_BACKUP_DAMAGED',
      message: /backup\.json/,
    })
  })

  test('is read with a key of then beside the one of now', async () => {
    const oldKeys = { 'of-2026': KEY }
    const { index } = await attempt({ keyId: 'of-2027', key: OTHER_KEY, oldKeys })
    assert.equal(index, backupOf('encrypted').known[2].index)
  })

  test('takes nothing that is not sealed', async () => {
    const plain = backupOf('plain').target
    await assert.rejects(contentOf(plain, { kind: 'latest' }, encryption), {
      code: 'ERR_BACKUP_DAMAGED',
      message: /backup\.json is not sealed, and keys were given/,
    })
  })
})
