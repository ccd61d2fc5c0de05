/** What a note of a death says, and of which database. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { ApplyingNote, type NotedFile } from '../../src/database/applying-note.ts'
import { temporaryDirectory } from '../node/temporary.ts'

test('a death is forgiven by what its own database has applied, and no other one', (t) => {
  const path = join(temporaryDirectory(t), 'note')
  const other: NotedFile = { created: 3, applied: 10 }
  const own = (applied: number): NotedFile => ({ created: 7, applied })
  const open = (applied: number): ApplyingNote => {
    const note = new ApplyingNote(path, () => [other, own(applied)])
    t.after(() => note.close())
    return note
  }
  open(4).begin(own(4), 5, 6)
  const behind = open(4)
  assert.deepEqual(behind.died, { first: 5, last: 6, deaths: 1 })
  behind.begin(own(4), 5, 5)
  assert.deepEqual(open(5).died, { first: 0, last: 0, deaths: 0 })
})

test('it moves to files that do not have the entry, and to no others', (t) => {
  const directory = temporaryDirectory(t)
  const file: NotedFile = { created: 7, applied: 4 }
  const open = (name: string): ApplyingNote => {
    const note = new ApplyingNote(join(directory, name), () => [file])
    t.after(() => note.close())
    return note
  }
  for (let death = 0; death < 2; death += 1) open('note').begin(file, 5, 5)
  const died = open('note')
  for (const [name, applied, index] of [
    ['behind', 4, 5],
    ['with it', 5, undefined],
  ] as const) {
    const moved = died.moveTo(join(directory, name), () => [file], applied)
    t.after(() => moved.close())
    assert.equal(moved.quarantine?.index, index)
    assert.equal(open(name).quarantine?.index, index)
  }
})
