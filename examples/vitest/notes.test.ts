import { describe, expect } from 'vitest'
import { test } from './fixture.ts'
import { addNote, listNotes, replaceNote } from './notes.ts'

describe.concurrent('notes', () => {
  test('are listed in the order in which they came', async ({ db }) => {
    await addNote(db, 'milk')
    await addNote(db, 'bread')
    expect((await listNotes(db)).map(({ text }) => text)).toEqual(['milk', 'bread'])
  })

  test('are there once', async ({ db }) => {
    expect(await addNote(db, 'milk')).toEqual({ id: 1, text: 'milk' })
    expect(await addNote(db, 'milk')).toBeNull()
    expect(await listNotes(db)).toHaveLength(1)
  })

  test('are replaced as a whole, or not at all', async ({ db }) => {
    await addNote(db, 'milk')
    await addNote(db, 'bread')
    await expect(replaceNote(db, 1, 'bread')).rejects.toThrow('UNIQUE constraint failed')
    await expect(replaceNote(db, 7, 'eggs')).rejects.toThrow('there is no note 7')
    expect((await listNotes(db)).map(({ text }) => text)).toEqual(['milk', 'bread'])
    await replaceNote(db, 1, 'eggs')
    expect((await listNotes(db)).map(({ text }) => text)).toEqual(['bread', 'eggs'])
  })
})
