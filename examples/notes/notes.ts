/** What there is to do with notes, in Drizzle; it knows neither of nodes nor of HTTP. */
import { desc, eq } from 'drizzle-orm'
import { drizzle, type LibSQLDatabase } from 'drizzle-orm/libsql'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
// In a project of your own: 'colmena'.
import type { Database, Migration } from '../../src/index.ts'

export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    name: 'notes',
    up: `CREATE TABLE notes (
      id INTEGER PRIMARY KEY,
      text TEXT NOT NULL,
      is_done INTEGER NOT NULL DEFAULT 0,
      added_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)`,
  },
]

const notes = sqliteTable('notes', {
  id: integer().primaryKey(),
  text: text().notNull(),
  isDone: integer('is_done', { mode: 'boolean' }).notNull().default(false),
})

export interface Note {
  readonly id: number
  readonly text: string
  readonly isDone: boolean
}

export class Notes {
  readonly #orm: LibSQLDatabase

  constructor(db: Database) {
    this.#orm = drizzle({ client: db })
  }

  /** Newest first. */
  async list(): Promise<readonly Note[]> {
    return this.#orm.select().from(notes).orderBy(desc(notes.id)).limit(100)
  }

  async add(text: string): Promise<Note> {
    const [added] = await this.#orm.insert(notes).values({ text }).returning()
    if (added === undefined) throw new Error('an INSERT returned no row')
    return added
  }

  /** Returns false where there is none. */
  async tick(id: number, isDone: boolean): Promise<boolean> {
    const { rowsAffected } = await this.#orm.update(notes).set({ isDone }).where(eq(notes.id, id))
    return rowsAffected > 0
  }

  /** Returns false where there was none. */
  async remove(id: number): Promise<boolean> {
    const { rowsAffected } = await this.#orm.delete(notes).where(eq(notes.id, id))
    return rowsAffected > 0
  }
}

/** A row as `changes()` tells it. */
export interface NoteRow {
  readonly id: number
  readonly text: string
  readonly is_done: number
}

export function fromRow({ id, text, is_done }: NoteRow): Note {
  return { id, text, isDone: is_done === 1 }
}
