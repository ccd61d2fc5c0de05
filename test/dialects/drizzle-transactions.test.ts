/** Drizzle's transactions and migrations on a node that follows. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { and, eq, isNull, relations, sql } from 'drizzle-orm'
import { drizzle, type LibSQLDatabase } from 'drizzle-orm/libsql'
import { migrate } from 'drizzle-orm/libsql/migrator'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { Database } from '../../src/index.ts'
import { CREATION, createPeople, databases } from './drizzle-people.ts'

const person = sqliteTable('person', {
  id: integer().primaryKey({ autoIncrement: true }),
  name: text().notNull(),
  age: integer(),
  born: text().notNull().default(sql`CURRENT_TIMESTAMP`),
})
const pet = sqliteTable('pet', {
  id: integer().primaryKey(),
  ownerId: integer('owner_id')
    .notNull()
    .references(() => person.id, { onDelete: 'cascade' }),
  name: text().notNull(),
  kind: text().notNull(),
})
const personRelations = relations(person, ({ many }) => ({ pets: many(pet) }))
const petRelations = relations(pet, ({ one }) => ({
  owner: one(person, { fields: [pet.ownerId], references: [person.id] }),
}))

const schema = { person, pet, personRelations, petRelations }

type Orm = ReturnType<typeof ormOf>

function ormOf(db: Database): LibSQLDatabase<typeof schema> {
  return drizzle({ client: db, schema })
}

async function withPeople(): Promise<{ readonly db: Database; readonly orm: Orm }> {
  const db = await createPeople()
  return { db, orm: ormOf(db) }
}

async function names(orm: Pick<Orm, 'select'>): Promise<string[]> {
  const rows = await orm.select({ name: person.name }).from(person).orderBy(person.id)
  return rows.map(({ name }) => name)
}

suite('transactions', () => {
  test('commit what they did, seen from the leader', async () => {
    const { orm, db } = await withPeople()
    const id = await orm.transaction(async (tx) => {
      const [dan] = await tx.insert(person).values({ name: 'Dan' }).returning({ id: person.id })
      assert.equal((await names(tx)).length, 4)
      assert.equal((await names(orm)).length, 3)
      return dan?.id
    })
    assert.equal(id, 4)
    const { rows } = await databases.onLeader(db).execute('SELECT count(*) AS n FROM person')
    assert.deepEqual(rows, [{ n: 4 }])
  })

  test('roll back where their work throws', async () => {
    const { orm } = await withPeople()
    const failed = orm.transaction(async (tx) => {
      await tx.delete(person)
      throw new Error('changed my mind')
    })
    await assert.rejects(failed, { message: 'changed my mind' })
    assert.equal((await names(orm)).length, 3)
  })

  test('roll back by word', async () => {
    const { orm } = await withPeople()
    const failed = orm.transaction(async (tx) => {
      await tx.delete(person)
      tx.rollback()
    })
    await assert.rejects(failed, /Rollback/)
    assert.equal((await names(orm)).length, 3)
  })

  test('nest by savepoints, each taken back or kept', async () => {
    const { orm } = await withPeople()
    await orm.transaction(async (tx) => {
      await tx.insert(person).values({ name: 'outer' })
      const inner = tx.transaction(async (nested) => {
        await nested.insert(person).values({ name: 'taken back' })
        nested.rollback()
      })
      await assert.rejects(inner, /Rollback/)
      await tx.transaction(async (nested) => {
        await nested.insert(person).values({ name: 'kept' })
        await nested.transaction(async (deep) => {
          await deep.insert(person).values({ name: 'deep' })
        })
      })
    })
    assert.deepEqual(await names(orm), ['Ada', 'Bob', 'Cleo', 'outer', 'kept', 'deep'])
  })

  test('go on after a statement that failed', async () => {
    const { orm } = await withPeople()
    await orm.transaction(async (tx) => {
      await tx.insert(person).values({ name: 'Dan' })
      await assert.rejects(async () => tx.insert(person).values({ name: 'Dan' }))
    })
    assert.equal((await names(orm)).length, 4)
  })

  test('claim by looking at the count', async () => {
    const { orm } = await withPeople()
    const free = and(eq(person.name, 'Cleo'), isNull(person.age))
    const claim = (): Promise<boolean> =>
      orm.transaction(async (tx) => {
        const { rowsAffected } = await tx.update(person).set({ age: 1 }).where(free)
        return rowsAffected === 1
      })
    const claims = await Promise.all([claim(), claim(), claim()])
    assert.equal(claims.filter(Boolean).length, 1)
  })

  test('read with relational queries what they wrote', async () => {
    const { orm } = await withPeople()
    await orm.transaction(async (tx) => {
      await tx.insert(pet).values({ ownerId: 3, name: 'New', kind: 'dog' })
      const cleo = await tx.query.person.findFirst({
        where: eq(person.name, 'Cleo'),
        with: { pets: true },
      })
      assert.deepEqual(
        cleo?.pets.map(({ name }) => name),
        ['New'],
      )
    })
  })
})

suite('migrations', () => {
  /** A folder as `drizzle-kit generate` leaves it. */
  function folderOf(t: TestContext, files: readonly (readonly string[])[]): string {
    const folder = mkdtempSync(join(tmpdir(), 'colmena-drizzle-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    mkdirSync(join(folder, 'meta'))
    const entries = files.map((statements, idx) => {
      const tag = `000${idx}_step`
      writeFileSync(join(folder, `${tag}.sql`), statements.join('\n--> statement-breakpoint\n'))
      return { idx, version: '6', when: 1_700_000_000_000 + idx, tag, breakpoints: true }
    })
    const journal = { version: '7', dialect: 'sqlite', entries }
    writeFileSync(join(folder, 'meta', '_journal.json'), JSON.stringify(journal))
    return folder
  }

  /** How it makes a table anew. */
  const REBUILD = [
    'PRAGMA foreign_keys=OFF;',
    `CREATE TABLE \`__new_person\` (
      \`id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
      \`name\` text NOT NULL,
      \`age\` integer DEFAULT 1 NOT NULL,
      \`born\` text DEFAULT CURRENT_TIMESTAMP NOT NULL
    );`,
    `INSERT INTO \`__new_person\`("id", "name", "age", "born")
      SELECT "id", "name", coalesce("age", 1), "born" FROM \`person\`;`,
    'DROP TABLE `person`;',
    'ALTER TABLE `__new_person` RENAME TO `person`;',
    'PRAGMA foreign_keys=ON;',
    'CREATE UNIQUE INDEX `person_name` ON `person` (`name`);',
  ]

  test('run once, and again only what is new', async (t) => {
    const orm = ormOf(databases.fresh())
    await migrate(orm, { migrationsFolder: folderOf(t, [CREATION]) })
    await migrate(orm, { migrationsFolder: folderOf(t, [CREATION]) })
    await orm.insert(person).values({ name: 'Ada' })
    const added = ['ALTER TABLE person ADD COLUMN extra text;']
    await migrate(orm, { migrationsFolder: folderOf(t, [CREATION, added]) })
    assert.deepEqual(await orm.all(sql`SELECT name, extra FROM person`), [
      { name: 'Ada', extra: null },
    ])
    assert.equal((await orm.all(sql`SELECT * FROM __drizzle_migrations`)).length, 2)
  })

  test('make a table anew without losing what refers to it', async (t) => {
    const orm = ormOf(databases.fresh())
    await migrate(orm, { migrationsFolder: folderOf(t, [CREATION]) })
    await orm.insert(person).values({ name: 'Ada' })
    await orm.insert(pet).values({ ownerId: 1, name: 'Tom', kind: 'cat' })
    await migrate(orm, { migrationsFolder: folderOf(t, [CREATION, REBUILD]) })
    assert.deepEqual(await orm.select({ age: person.age }).from(person), [{ age: 1 }])
    assert.equal(await orm.$count(pet), 1)
    await orm.delete(person)
    assert.equal(await orm.$count(pet), 0)
  })

  test('leave nothing where one of them fails', async (t) => {
    const db = databases.fresh()
    const orm = ormOf(db)
    const folder = folderOf(t, [CREATION, ['CREATE TABLE x (a);', 'SELEC 1;']])
    await assert.rejects(migrate(orm, { migrationsFolder: folder }), { code: 'ERR_SQL' })
    const { rows } = await db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    assert.deepEqual(rows, [{ name: '__drizzle_migrations' }])
  })
})
