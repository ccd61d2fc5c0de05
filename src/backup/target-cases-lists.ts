/** Of `testTarget`: what a list tells, and which names there are. */
import assert from 'node:assert/strict'
import { NAME_CHARACTERS_MAX, PART_CHARACTERS_MAX } from './object-name.ts'
import { bytesOf, drain, each, type Rig, rejects } from './target-rig.ts'

type Check = (rig: Rig) => Promise<void>

/** More than S3 lists at once. */
const MANY = 1_050
const BYTES = bytesOf(100, 21)
/** In the order of their characters, which is not that of folders. */
const ORDERED = [
  'Z/last',
  'a-b/c',
  'a.b',
  'a/1',
  'a/b-c',
  'a/b/c',
  'a/b0',
  'a0',
  'a_',
  'aa/b',
  'ab',
  'b',
]
const NO_NAMES = [
  '',
  '/',
  '/a',
  'a/',
  'a//b',
  '.',
  '..',
  '../a',
  'a/../b',
  'a/..',
  '.a',
  'a/.b',
  'a b',
  'a\\b',
  'a\0b',
  'ä',
  'a*',
  'a'.repeat(PART_CHARACTERS_MAX + 1),
  longName(NAME_CHARACTERS_MAX + 1),
]

export const LIST_CASES: Readonly<Record<string, Check>> = {
  'a list is in the order of the characters of names': async (rig) => {
    await each(ORDERED.toReversed(), (name) => rig.put(name, BYTES))
    assert.deepEqual(await rig.names(), ORDERED)
  },

  'a list has what begins with the prefix, and nothing else': async (rig) => {
    await each(ORDERED, (name) => rig.put(name, BYTES))
    for (const prefix of ['a', 'a/', 'a/b', 'a/b/', 'a-', 'a/b/c', 'Z', 'b', 'b/', 'none', 'a/x']) {
      const expected = ORDERED.filter((name) => name.startsWith(prefix))
      assert.deepEqual(await rig.names(prefix), expected, `of the prefix ${prefix}`)
    }
    const everything = await drain(rig.target.list(''))
    const own = everything.filter(({ name }) => name.startsWith(rig.folder))
    assert.equal(own.length, ORDERED.length, 'of no prefix')
  },

  'a list tells size and time of what was put': async (rig) => {
    await rig.put('old', BYTES)
    await rig.put('new', bytesOf(12_345, 22))
    const [young, old] = await rig.list()
    assert.deepEqual([young?.sizeBytes, old?.sizeBytes], [12_345, 100])
    for (const { name, modifiedMs } of await rig.list()) {
      const year = new Date(modifiedMs).getUTCFullYear()
      assert.ok(year > 2_000 && year < 3_000, `${name} is of ${modifiedMs} ms since 1970`)
    }
    // Some targets know whole seconds only.
    const [youngMs, oldMs] = [young?.modifiedMs ?? 0, old?.modifiedMs ?? 0]
    assert.ok(youngMs >= oldMs - 1_000, 'what was put later is not older')
  },

  'a list has what was put before it, and not what was deleted': async (rig) => {
    for (let at = 0; at < 5; at += 1) {
      await rig.put(`new-${at}`, BYTES)
      assert.ok((await rig.names()).includes(`new-${at}`), `new-${at} was put`)
    }
    for (let at = 0; at < 5; at += 1) {
      await rig.delete(`new-${at}`)
      assert.ok(!(await rig.names()).includes(`new-${at}`), `new-${at} was deleted`)
    }
  },

  'a list has more than 1,000 objects': async (rig) => {
    const names = Array.from({ length: MANY }, (_, at) => `many/${String(at).padStart(5, '0')}`)
    await each(names, (name) => rig.put(name, BYTES))
    await rig.put('other', BYTES)
    assert.deepEqual(await rig.names('many/'), names)
    assert.equal((await rig.list()).length, MANY + 1)
    let seen = 0
    for await (const _ of rig.target.list(rig.name('many/'))) {
      seen += 1
      if (seen === 3) break
    }
    assert.equal((await rig.names('many/0104')).length, 10, 'behind a list that was given up')
  },

  'names may be as long and as odd as they may be': async (rig) => {
    const left = NAME_CHARACTERS_MAX - rig.folder.length
    const odd = ['-', '_', '--a', 'a..b', 'a.', 'A-Z_a.z-0', '0', longName(left)]
    await each(odd, (name) => rig.put(name, Buffer.from(name)))
    await each(odd, (name) => rig.assertHolds(name, Buffer.from(name), name))
    assert.deepEqual(await rig.names(), odd.toSorted())
    await each(odd, (name) => rig.delete(name))
    assert.deepEqual(await rig.names(), [])
  },

  'what is no name is refused': async ({ target }) => {
    for (const name of NO_NAMES) {
      const shown = JSON.stringify(name.slice(0, 20))
      await rejects(target.put(name, BYTES), 'ERR_INVALID_ARGUMENT', `put of ${shown}`)
      await rejects(target.delete(name), 'ERR_INVALID_ARGUMENT', `delete of ${shown}`)
      const got = drain(target.get(name))
      await rejects(got, 'ERR_INVALID_ARGUMENT', `get of ${shown}`)
    }
    for (const prefix of ['/', '../', 'a//', '.a', 'ä']) {
      const listed = drain(target.list(prefix))
      await rejects(listed, 'ERR_INVALID_ARGUMENT', `list of ${JSON.stringify(prefix)}`)
    }
  },
}

/** In parts as long as they may be. */
function longName(characters: number): string {
  const part = `${'n'.repeat(PART_CHARACTERS_MAX)}/`
  return `${part.repeat(3).slice(0, characters - 1)}n`
}
