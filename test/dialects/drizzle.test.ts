/** Drizzle on a node that follows, our database as its client: schema, types, statements. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  and,
  asc,
  avg,
  between,
  count,
  desc,
  eq,
  exists,
  getTableColumns,
  gt,
  inArray,
  isNull,
  like,
  max,
  relations,
  sql,
} from 'drizzle-orm'
import { drizzle, type LibSQLDatabase } from 'drizzle-orm/libsql'
import {
  alias,
  blob,
  index,
  integer,
  numeric,
  real,
  type SQLiteColumn,
  sqliteTable,
  text,
  union,
  uniqueIndex,
} from 'drizzle-orm/sqlite-core'
import { type Database, SqlError, withConsistency } from '../../src/index.ts'
import { createPeople, databases } from './drizzle-people.ts'

const person = sqliteTable(
  'person',
  {
    id: integer().primaryKey({ autoIncrement: true }),
    name: text().notNull(),
    age: integer(),
    born: text().notNull().default(sql`CURRENT_TIMESTAMP`),
  },
  (table) => [uniqueIndex('person_name').on(table.name)],
)
const pet = sqliteTable(
  'pet',
  {
    id: integer().primaryKey(),
    ownerId: integer('owner_id')
      .notNull()
      .references(() => person.id, { onDelete: 'cascade' }),
    name: text().notNull(),
    kind: text({ enum: ['cat', 'dog'] }).notNull(),
  },
  (table) => [index('pet_owner').on(table.ownerId)],
)
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

/** Drizzle wraps what its client throws. */
function causedBy(expected: Record<string, unknown>): (error: unknown) => boolean {
  return (error) => {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    assert.ok(cause instanceof SqlError, String(error))
    for (const [key, value] of Object.entries(expected)) {
      assert.equal(Reflect.get(cause, key), value)
    }
    return true
  }
}

suite('schema', () => {
  test('statements of drizzle-kit run as they are', async () => {
    const { db } = await withPeople()
    const { rows } = await db.execute("SELECT name FROM sqlite_schema WHERE sql <> '' ORDER BY 1")
    const made = rows.map(({ name }) => name)
    assert.deepEqual(made, ['person', 'person_name', 'pet', 'pet_owner', 'sqlite_sequence'])
  })

  test('constraints hold', async () => {
    const { orm } = await withPeople()
    await assert.rejects(
      orm.insert(person).values({ name: 'Ada' }),
      causedBy({ extendedCode: 'SQLITE_CONSTRAINT_UNIQUE', rawCode: 2067 }),
    )
    await assert.rejects(
      orm.insert(pet).values({ ownerId: 99, name: 'x', kind: 'cat' }),
      causedBy({ extendedCode: 'SQLITE_CONSTRAINT_FOREIGNKEY' }),
    )
    await orm.delete(person).where(eq(person.id, 1))
    assert.equal((await orm.select().from(pet)).length, 1)
  })

  test('views are read', async () => {
    const { orm } = await withPeople()
    await orm.run(sql`CREATE VIEW cats AS SELECT * FROM pet WHERE kind = 'cat'`)
    assert.equal((await orm.all(sql`SELECT * FROM cats`)).length, 2)
  })
})

suite('every type', () => {
  const now = new Date(1_700_000_000_123)
  const types: readonly [
    name: string,
    column: unknown,
    sqlType: string,
    written: unknown,
    read: unknown,
  ][] = [
    ['an integer', integer(), 'integer', 42, 42],
    ['a boolean', integer({ mode: 'boolean' }), 'integer', true, true],
    ['a timestamp', integer({ mode: 'timestamp' }), 'integer', now, new Date(1_700_000_000_000)],
    ['a timestamp in ms', integer({ mode: 'timestamp_ms' }), 'integer', now, now],
    ['a real', real(), 'real', 1.5, 1.5],
    ['a text', text(), 'text', 'héllo 🐝', 'héllo 🐝'],
    ['a text of digits', text(), 'text', '7', '7'],
    ['JSON as text', text({ mode: 'json' }), 'text', { a: [1] }, { a: [1] }],
    ['a numeric', numeric(), 'numeric', '12.5', '12.5'],
    ['a numeric number', numeric({ mode: 'number' }), 'numeric', 12.5, 12.5],
    ['a numeric bigint', numeric({ mode: 'bigint' }), 'numeric', 2n ** 62n, 2n ** 62n],
    ['bytes', blob({ mode: 'buffer' }), 'blob', Buffer.from([0, 255]), Buffer.from([0, 255])],
    ['a bigint', blob({ mode: 'bigint' }), 'blob', 2n ** 80n, 2n ** 80n],
    ['JSON as bytes', blob({ mode: 'json' }), 'blob', { a: 'ü' }, { a: 'ü' }],
    ['null', text(), 'text', null, null],
  ]

  for (const [name, column, sqlType, written, read] of types) {
    test(`keeps ${name}`, async () => {
      const db = databases.fresh()
      const everything = sqliteTable('everything', { v: column as ReturnType<typeof text> })
      const orm = drizzle({ client: db })
      await orm.run(sql.raw(`CREATE TABLE everything (v ${sqlType})`))
      await orm.insert(everything).values({ v: written as string })
      const [row] = await orm.select().from(everything)
      assert.deepEqual(row?.v, read)
      const { v } = getTableColumns(everything) as { readonly v: SQLiteColumn }
      const same = written === null ? isNull(v) : eq(v, written)
      assert.equal((await orm.select().from(everything).where(same)).length, 1)
    })
  }

  test('defaults are computed by the database and by Drizzle', async () => {
    const { orm } = await withPeople()
    const [ada] = await orm.select().from(person).where(eq(person.id, 1))
    assert.match(ada?.born ?? '', /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/)
  })
})

suite('statements', () => {
  test('an insert tells its rowid and count', async () => {
    const { orm } = await withPeople()
    const result = await orm.insert(person).values({ name: 'Dan' })
    assert.deepEqual([result.lastInsertRowid, result.rowsAffected], [4n, 1])
  })

  test('returning gives rows of inserts, updates and deletes', async () => {
    const { orm } = await withPeople()
    const added = await orm
      .insert(person)
      .values([{ name: 'Dan', age: 1 }, { name: 'Eve' }])
      .returning({ id: person.id, age: person.age })
    assert.deepEqual(added, [
      { id: 4, age: 1 },
      { id: 5, age: null },
    ])
    const [older] = await orm
      .update(person)
      .set({ age: sql`${person.age} + 1` })
      .where(eq(person.id, 4))
      .returning()
    assert.equal(older?.age, 2)
    const gone = await orm.delete(person).where(gt(person.id, 3)).returning({ id: person.id })
    assert.deepEqual(gone, [{ id: 4 }, { id: 5 }])
  })

  test('an update and a delete tell how many rows', async () => {
    const { orm } = await withPeople()
    assert.equal((await orm.update(person).set({ age: 1 })).rowsAffected, 3)
    assert.equal((await orm.delete(pet).where(eq(pet.kind, 'cat'))).rowsAffected, 2)
  })

  test('upserts by doing nothing', async () => {
    const { orm } = await withPeople()
    await orm.insert(person).values({ name: 'Ada', age: 1 }).onConflictDoNothing()
    const [ada] = await orm.select().from(person).where(eq(person.name, 'Ada'))
    assert.equal(ada?.age, 36)
  })

  test('upserts by update, also under a condition', async () => {
    const { orm } = await withPeople()
    const ada = () => orm.insert(person).values({ name: 'Ada', age: 99 })
    const set = { age: sql`excluded.age` }
    await ada().onConflictDoUpdate({ target: person.name, set, setWhere: sql`person.age > 50` })
    const age = async (): Promise<unknown> =>
      (await orm.select().from(person).where(eq(person.name, 'Ada')))[0]?.age
    assert.equal(await age(), 36)
    await ada().onConflictDoUpdate({ target: person.name, set })
    assert.equal(await age(), 99)
  })

  test('inner joins give both sides', async () => {
    const { orm } = await withPeople()
    const rows = await orm
      .select()
      .from(person)
      .innerJoin(pet, eq(pet.ownerId, person.id))
      .orderBy(asc(pet.id))
    assert.equal(rows.length, 3)
    assert.deepEqual([rows[0]?.person.name, rows[0]?.pet.name], ['Ada', 'Tom'])
  })

  test('left joins give null for what is not there', async () => {
    const { orm } = await withPeople()
    const rows = await orm
      .select()
      .from(person)
      .leftJoin(pet, eq(pet.ownerId, person.id))
      .where(eq(person.name, 'Cleo'))
    assert.deepEqual(
      rows.map(({ pet: owned }) => owned),
      [null],
    )
  })

  test('right and full joins', async () => {
    const { orm } = await withPeople()
    const right = await orm.select().from(pet).rightJoin(person, eq(pet.ownerId, person.id))
    assert.equal(right.length, 4)
    const full = await orm.select().from(pet).fullJoin(person, eq(pet.ownerId, person.id))
    assert.equal(full.length, 4)
  })

  test('a table joins itself under another name', async () => {
    const { orm } = await withPeople()
    const other = alias(person, 'other')
    const older = await orm
      .select({ name: person.name, than: other.name })
      .from(person)
      .innerJoin(other, gt(person.age, other.age))
    assert.deepEqual(older, [{ name: 'Ada', than: 'Bob' }])
  })

  test('aggregates, groups and having', async () => {
    const { orm } = await withPeople()
    const kinds = await orm
      .select({ kind: pet.kind, n: count() })
      .from(pet)
      .groupBy(pet.kind)
      .having(gt(count(), 1))
    assert.deepEqual(kinds, [{ kind: 'cat', n: 2 }])
    const [ages] = await orm.select({ avg: avg(person.age), max: max(person.age) }).from(person)
    assert.deepEqual(ages, { avg: '28', max: 36 })
    assert.equal(await orm.$count(person, isNull(person.age)), 1)
  })

  test('conditions, order, limit and offset', async () => {
    const { orm } = await withPeople()
    const grown = and(between(person.age, 18, 40), like(person.name, '%b%'))
    assert.deepEqual(await orm.select({ id: person.id }).from(person).where(grown), [{ id: 2 }])
    const second = orm.select({ id: person.id }).from(person).orderBy(desc(person.id))
    assert.deepEqual(await second.limit(1).offset(1), [{ id: 2 }])
    const some = inArray(person.id, [1, 3, 99])
    assert.equal((await orm.select().from(person).where(some)).length, 2)
  })

  test('subqueries in from and where', async () => {
    const { orm } = await withPeople()
    const cats = orm.select().from(pet).where(eq(pet.kind, 'cat')).as('cats')
    const owners = await orm
      .select({ name: person.name })
      .from(cats)
      .innerJoin(person, eq(person.id, cats.ownerId))
      .orderBy(person.id)
    assert.deepEqual(owners, [{ name: 'Ada' }, { name: 'Bob' }])
    const owned = orm.select({ one: sql`1` }).from(pet).where(eq(pet.ownerId, person.id))
    assert.equal((await orm.select().from(person).where(exists(owned))).length, 2)
  })

  test('common table expressions, also in front of a write', async () => {
    const { orm } = await withPeople()
    const old = orm.$with('old').as(orm.select().from(person).where(gt(person.age, 30)))
    const rows = await orm.with(old).select({ name: old.name }).from(old)
    assert.deepEqual(rows, [{ name: 'Ada' }])
    const ids = orm.with(old).select({ id: old.id }).from(old)
    const gone = await orm.delete(pet).where(inArray(pet.ownerId, ids))
    assert.equal(gone.rowsAffected, 2)
    const counted = await orm.get<{ sum: number }>(
      sql`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5)
        SELECT sum(i) AS sum FROM n`,
    )
    assert.deepEqual(counted, { sum: 15 })
  })

  test('unions', async () => {
    const { orm } = await withPeople()
    const people = orm.select({ name: person.name }).from(person)
    const all = await union(people, orm.select({ name: pet.name }).from(pet))
    assert.equal(all.length, 6)
  })

  test('inserts from a query', async () => {
    const { orm } = await withPeople()
    const source = orm
      .select({
        id: sql<number>`${pet.id} + 10`.as('id'),
        name: pet.name,
        age: pet.id,
        born: pet.kind,
      })
      .from(pet)
    await orm.insert(person).select(source)
    assert.equal((await names(orm)).length, 6)
  })

  test('relational queries, both ways and filtered', async () => {
    const { orm } = await withPeople()
    const people = await orm.query.person.findMany({
      columns: { name: true },
      with: { pets: { columns: { name: true }, orderBy: (pets, { desc: last }) => last(pets.id) } },
      orderBy: (people, { asc: first }) => first(people.id),
    })
    assert.deepEqual(people[0], { name: 'Ada', pets: [{ name: 'Rex' }, { name: 'Tom' }] })
    assert.deepEqual(people[2], { name: 'Cleo', pets: [] })
    const kit = await orm.query.pet.findFirst({
      where: eq(pet.name, 'Kit'),
      with: { owner: true },
    })
    assert.equal(kit?.owner.name, 'Bob')
    assert.equal(await orm.query.pet.findFirst({ where: eq(pet.name, 'no') }), undefined)
  })

  test('prepared statements with placeholders', async () => {
    const { orm } = await withPeople()
    const byName = orm
      .select({ id: person.id })
      .from(person)
      .where(eq(person.name, sql.placeholder('name')))
      .prepare()
    assert.deepEqual(await byName.all({ name: 'Bob' }), [{ id: 2 }])
    assert.deepEqual(await byName.get({ name: 'Cleo' }), { id: 3 })
    assert.equal(await byName.get({ name: 'nobody' }), undefined)
  })

  test('raw statements: run, all, get and values', async () => {
    const { orm } = await withPeople()
    assert.equal((await orm.run(sql`UPDATE person SET age = ${1}`)).rowsAffected, 3)
    assert.deepEqual(await orm.all(sql`SELECT id FROM person WHERE id < 3`), [{ id: 1 }, { id: 2 }])
    assert.deepEqual(await orm.get(sql`SELECT ${'x'} AS v`), { v: 'x' })
    const values = await orm.values(sql`SELECT 1, 1`)
    assert.deepEqual(Array.from(values[0] ?? []), [1, 1])
  })

  test('batches are all or nothing', async () => {
    const { orm } = await withPeople()
    const [inserted, all] = await orm.batch([
      orm.insert(person).values({ name: 'Dan' }).returning({ id: person.id }),
      orm.select().from(person),
    ])
    assert.deepEqual([inserted, all.length], [[{ id: 4 }], 4])
    const failing = orm.batch([orm.delete(pet), orm.insert(person).values({ name: 'Ada' })])
    await assert.rejects(failing, causedBy({ statementIndex: 1 }))
    assert.equal(await orm.$count(pet), 3)
  })

  test('fail with what SQLite answers', async () => {
    const { orm } = await withPeople()
    await assert.rejects(orm.run(sql`SELEC 1`), causedBy({ code: 'ERR_SQL', rawCode: 1 }))
  })

  test('read at the level of their context, or of their database', async () => {
    const { orm, db } = await withPeople()
    // Drizzle's builders run when they are awaited, so that has to be inside.
    const read = async (one = orm): Promise<unknown> =>
      Reflect.get(await one.run(sql`SELECT 1`), 'consistency')
    assert.equal(await read(), 'weak')
    assert.equal(await withConsistency('strong', read), 'strong')
    assert.equal(await read(ormOf(db.withConsistency('none'))), 'none')
  })
})
