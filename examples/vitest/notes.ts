import type { Database, Row } from 'colmena'

export const MIGRATIONS = [
  {
    version: 1,
    name: 'notes',
    up: 'CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT UNIQUE)',
  },
]

export interface Note {
  readonly id: number
  readonly text: string
}

/** Adds a note, unless there is one of that text. */
export async function addNote(db: Database, text: string): Promise<Note | null> {
  const { rows } = await db.execute(
    'INSERT INTO notes (text) VALUES (?) ON CONFLICT DO NOTHING RETURNING id, text',
    [text],
  )
  return rows[0] === undefined ? null : toNote(rows[0])
}

export async function listNotes(db: Database): Promise<readonly Note[]> {
  const { rows } = await db.execute('SELECT id, text FROM notes ORDER BY id')
  return rows.map(toNote)
}

/** Takes one note out and puts another in, or does neither. */
export async function replaceNote(db: Database, id: number, text: string): Promise<void> {
  await db.transaction(async (tx) => {
    const { rowsAffected } = await tx.execute('DELETE FROM notes WHERE id = ?', [id])
    if (rowsAffected === 0) throw new Error(`there is no note ${id}`)
    await tx.execute('INSERT INTO notes (text) VALUES (?)', [text])
  })
}

function toNote(row: Row): Note {
  return { id: Number(row['id']), text: String(row['text']) }
}
