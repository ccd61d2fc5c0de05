/** Kysely over a few people and their pets. */
import { type ColumnType, type Generated, Kysely, sql } from 'kysely'
import { ColmenaDialect } from '../../src/dialects/kysely.ts'
import type { Database } from '../../src/index.ts'
import { type Databases, openDatabases } from './fixture.ts'

export interface Tables {
  person: {
    id: Generated<number>
    name: string
    age: number | null
    born: ColumnType<string, string | undefined, never>
  }
  pet: { id: Generated<number>; owner_id: number; name: string; kind: 'cat' | 'dog' }
  everything: Record<string, unknown>
}

export const databases: Databases = openDatabases()

export function fresh(): { readonly db: Database; readonly kysely: Kysely<Tables> } {
  const db = databases.fresh()
  return { db, kysely: new Kysely<Tables>({ dialect: new ColmenaDialect(db) }) }
}

export async function withPeople(): Promise<{
  readonly db: Database
  readonly kysely: Kysely<Tables>
}> {
  const { db, kysely } = fresh()
  await kysely.schema
    .createTable('person')
    .addColumn('id', 'integer', (column) => column.primaryKey().autoIncrement())
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('age', 'integer')
    .addColumn('born', 'text', (column) => column.notNull().defaultTo(sql`CURRENT_TIMESTAMP`))
    .execute()
  await kysely.schema
    .createTable('pet')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('owner_id', 'integer', (column) =>
      column.notNull().references('person.id').onDelete('cascade'),
    )
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull().check(sql`kind IN ('cat', 'dog')`))
    .execute()
  await kysely
    .insertInto('person')
    .values([
      { name: 'Ada', age: 36 },
      { name: 'Bob', age: 20 },
      { name: 'Cleo', age: null },
    ])
    .execute()
  await kysely
    .insertInto('pet')
    .values([
      { owner_id: 1, name: 'Tom', kind: 'cat' },
      { owner_id: 1, name: 'Rex', kind: 'dog' },
      { owner_id: 2, name: 'Kit', kind: 'cat' },
    ])
    .execute()
  return { db, kysely }
}

/** Of all people, in order. */
export async function names(kysely: Kysely<Tables>): Promise<string[]> {
  const rows = await kysely.selectFrom('person').select('name').orderBy('id').execute()
  return rows.map(({ name }) => name)
}
