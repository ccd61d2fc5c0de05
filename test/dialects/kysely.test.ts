/** Kysely on a node that follows: schema, types, statements. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { CamelCasePlugin, CompiledQuery, Kysely, ParseJSONResultsPlugin, sql } from 'kysely'
import { jsonArrayFrom, jsonObjectFrom } from 'kysely/helpers/sqlite'
import { ColmenaDialect } from '../../src/dialects/kysely.ts'
import { type Database, SqlError, withConsistency } from '../../src/index.ts'
import { fresh, type Tables, withPeople } from './kysely-people.ts'

suite('schema', () => {
  test('creates tables, once', async () => {
    const { kysely } = await withPeople()
    await kysely.schema.createTable('person').ifNotExists().addColumn('x', 'text').execute()
    const again = kysely.schema.createTable('person').addColumn('x', 'text').execute()
    await assert.rejects(again, { code: 'ERR_SQL', message: /already exists/ })
  })

  test('adds, renames and drops columns', async () => {
    const { kysely, db } = await withPeople()
    await kysely.schema.alterTable('pet').addColumn('weight', 'real').execute()
    await kysely.schema.alterTable('pet').renameColumn('weight', 'mass').execute()
    assert.ok('mass' in ((await db.execute('SELECT * FROM pet')).rows[0] ?? {}))
    await kysely.schema.alterTable('pet').dropColumn('mass').execute()
    assert.ok(!('mass' in ((await db.execute('SELECT * FROM pet')).rows[0] ?? {})))
  })

  test('renames and drops tables', async () => {
    const { kysely, db } = await withPeople()
    await kysely.schema.alterTable('pet').renameTo('animal').execute()
    assert.equal((await db.execute('SELECT count(*) AS n FROM animal')).rows[0]?.['n'], 3)
    await kysely.schema.dropTable('animal').execute()
    await kysely.schema.dropTable('animal').ifExists().execute()
    const { rows } = await db.execute("SELECT name FROM sqlite_schema WHERE name = 'animal'")
    assert.deepEqual(rows, [])
  })

  test('makes indexes, unique and partial', async () => {
    const { kysely } = await withPeople()
    await kysely.schema
      .createIndex('pet_name')
      .on('pet')
      .columns(['owner_id', 'name'])
      .unique()
      .execute()
    const twice = { owner_id: 1, name: 'Tom', kind: 'cat' } as const
    await assert.rejects(kysely.insertInto('pet').values(twice).execute(), {
      extendedCode: 'SQLITE_CONSTRAINT_UNIQUE',
    })
    await kysely.schema.dropIndex('pet_name').execute()
    await kysely.insertInto('pet').values(twice).execute()
  })

  test('makes views', async () => {
    const { kysely, db } = await withPeople()
    const cats = kysely.selectFrom('pet').selectAll().where('kind', '=', sql.lit('cat'))
    await kysely.schema.createView('cats').as(cats).execute()
    assert.equal((await db.execute('SELECT * FROM cats')).rows.length, 2)
    await kysely.schema.dropView('cats').execute()
  })

  test('holds checks and foreign keys', async () => {
    const { kysely } = await withPeople()
    const owl = sql`INSERT INTO pet (owner_id, name, kind) VALUES (1, 'Ed', 'owl')`
    await assert.rejects(owl.execute(kysely), { extendedCode: 'SQLITE_CONSTRAINT_CHECK' })
    const stray = kysely.insertInto('pet').values({ owner_id: 9, name: 'S', kind: 'cat' })
    await assert.rejects(stray.execute(), { extendedCode: 'SQLITE_CONSTRAINT_FOREIGNKEY' })
    await kysely.deleteFrom('person').where('id', '=', 1).execute()
    assert.equal((await kysely.selectFrom('pet').selectAll().execute()).length, 1)
  })

  test('is introspected without what is our own', async () => {
    const { kysely } = await withPeople()
    const tables = await kysely.introspection.getTables()
    assert.deepEqual(tables.map(({ name }) => name).sort(), ['person', 'pet'])
    const [person] = tables.filter(({ name }) => name === 'person')
    const id = person?.columns.find(({ name }) => name === 'id')
    assert.deepEqual([id?.isAutoIncrementing, id?.dataType], [true, 'INTEGER'])
    const born = person?.columns.find(({ name }) => name === 'born')
    assert.deepEqual([born?.hasDefaultValue, born?.isNullable], [true, false])
  })

  test('has composite keys and generated columns', async () => {
    const { kysely, db } = fresh()
    await kysely.schema
      .createTable('everything')
      .addColumn('a', 'integer', (column) => column.notNull())
      .addColumn('b', 'integer', (column) => column.notNull())
      .addColumn('sum', 'integer', (column) => column.generatedAlwaysAs(sql`a + b`).stored())
      .addPrimaryKeyConstraint('everything_key', ['a', 'b'])
      .execute()
    await kysely.insertInto('everything').values({ a: 1, b: 2 }).execute()
    assert.deepEqual((await db.execute('SELECT sum FROM everything')).rows, [{ sum: 3 }])
    await assert.rejects(kysely.insertInto('everything').values({ a: 1, b: 2 }).execute(), {
      extendedCode: 'SQLITE_CONSTRAINT_PRIMARYKEY',
    })
  })
})

suite('every type', () => {
  const types: readonly [name: string, type: string, written: unknown, read: unknown][] = [
    ['integer', 'integer', 42, 42],
    ['a large integer', 'bigint', 2n ** 62n, 2n ** 62n],
    ['the least integer', 'integer', -(2n ** 63n), -(2n ** 63n)],
    ['real', 'real', 1.5, 1.5],
    ['a whole number in a real column', 'real', 2, 2],
    ['text', 'text', 'héllo\u0000 🐝', 'héllo\u0000 🐝'],
    ['a whole number in a text column', 'text', 7, '7'],
    ['null', 'text', null, null],
    ['boolean', 'boolean', true, 1],
    ['false', 'boolean', false, 0],
    ['a date', 'integer', new Date(1_700_000_000_123), 1_700_000_000_123],
    ['bytes', 'blob', new Uint8Array([0, 255, 7]), Buffer.from([0, 255, 7])],
    ['no bytes', 'blob', new Uint8Array(), Buffer.alloc(0)],
    ['numeric', 'numeric', '12.50', 12.5],
    ['json', 'json', '{"a":[1,2]}', '{"a":[1,2]}'],
  ]

  for (const [name, type, written, read] of types) {
    test(`keeps ${name}`, async () => {
      const { kysely } = fresh()
      await sql`CREATE TABLE everything (v ${sql.raw(type)})`.execute(kysely)
      await kysely.insertInto('everything').values({ v: written }).execute()
      const row = await kysely.selectFrom('everything').selectAll().executeTakeFirstOrThrow()
      assert.deepEqual(row['v'], read)
      const found = kysely.selectFrom('everything').select('v')
      const same = written === null ? found.where('v', 'is', null) : found.where('v', '=', written)
      assert.equal((await same.execute()).length, 1)
    })
  }

  test('columns may have any name', async () => {
    const { kysely } = fresh()
    const { rows } =
      await sql`SELECT 1 AS length, 2 AS "0", 3 AS "__proto__", 4 AS a, 5 AS a`.execute(kysely)
    assert.deepEqual(Object.entries(rows[0] ?? {}).sort(), [
      ['0', 2],
      ['__proto__', 3],
      ['a', 5],
      ['length', 1],
    ])
  })
})

suite('statements', () => {
  test('an insert tells its rowid and count', async () => {
    const { kysely } = await withPeople()
    const [result] = await kysely.insertInto('person').values({ name: 'Dan', age: 1 }).execute()
    assert.deepEqual([result?.insertId, result?.numInsertedOrUpdatedRows], [4n, 1n])
  })

  test('returning gives rows of inserts, updates and deletes', async () => {
    const { kysely } = await withPeople()
    const inserted = await kysely
      .insertInto('person')
      .values([
        { name: 'Dan', age: 1 },
        { name: 'Eve', age: 2 },
      ])
      .returning(['id', 'name'])
      .execute()
    assert.deepEqual(inserted, [
      { id: 4, name: 'Dan' },
      { id: 5, name: 'Eve' },
    ])
    const updated = await kysely
      .updateTable('person')
      .set((eb) => ({ age: eb('age', '+', 1) }))
      .where('name', '=', 'Dan')
      .returningAll()
      .executeTakeFirstOrThrow()
    assert.deepEqual([updated.id, updated.age], [4, 2])
    const gone = await kysely.deleteFrom('person').where('id', '>', 3).returning('id').execute()
    assert.deepEqual(gone, [{ id: 4 }, { id: 5 }])
  })

  test('an update and a delete tell how many rows', async () => {
    const { kysely } = await withPeople()
    const { numUpdatedRows } = await kysely
      .updateTable('person')
      .set({ age: 1 })
      .where('age', 'is not', null)
      .executeTakeFirstOrThrow()
    assert.equal(numUpdatedRows, 2n)
    const none = await kysely.deleteFrom('person').where('id', '=', 99).executeTakeFirstOrThrow()
    assert.equal(none.numDeletedRows, 0n)
  })

  test('upserts by update and by doing nothing', async () => {
    const { kysely } = await withPeople()
    const ada = kysely.insertInto('person').values({ name: 'Ada', age: 99 })
    await ada.onConflict((on) => on.column('name').doNothing()).execute()
    const byName = kysely.selectFrom('person').select('age').where('name', '=', 'Ada')
    assert.equal((await byName.executeTakeFirstOrThrow()).age, 36)
    await ada
      .onConflict((on) => on.column('name').doUpdateSet((eb) => ({ age: eb.ref('excluded.age') })))
      .execute()
    assert.equal((await byName.executeTakeFirstOrThrow()).age, 99)
  })

  test('replaces and ignores', async () => {
    const { kysely } = await withPeople()
    await kysely.insertInto('person').orIgnore().values({ name: 'Ada', age: 1 }).execute()
    await kysely.replaceInto('person').values({ name: 'Bob', age: 2 }).execute()
    const rows = await kysely.selectFrom('person').select(['id', 'name', 'age']).execute()
    assert.deepEqual(rows.map(({ name }) => name).sort(), ['Ada', 'Bob', 'Cleo'])
    assert.equal(rows.find(({ name }) => name === 'Ada')?.age, 36)
    const bob = rows.find(({ name }) => name === 'Bob')
    assert.deepEqual([bob?.age, bob?.id !== 2], [2, true])
  })

  test('inner, left and self joins', async () => {
    const { kysely } = await withPeople()
    const inner = await kysely
      .selectFrom('person')
      .innerJoin('pet', 'pet.owner_id', 'person.id')
      .select(['person.name as owner', 'pet.name as pet'])
      .orderBy('pet.id')
      .execute()
    assert.deepEqual(inner[0], { owner: 'Ada', pet: 'Tom' })
    assert.equal(inner.length, 3)
    const left = await kysely
      .selectFrom('person')
      .leftJoin('pet', 'pet.owner_id', 'person.id')
      .select(({ fn }) => ['person.name', fn.count('pet.id').as('pets')])
      .groupBy('person.id')
      .orderBy('person.id')
      .execute()
    assert.deepEqual(
      left.map(({ pets }) => pets),
      [2, 1, 0],
    )
  })

  test('subqueries, exists and in', async () => {
    const { kysely } = await withPeople()
    const owners = await kysely
      .selectFrom('person')
      .select('name')
      .where(({ exists, selectFrom }) =>
        exists(selectFrom('pet').select('pet.id').whereRef('pet.owner_id', '=', 'person.id')),
      )
      .where('id', 'in', [1, 2, 3])
      .orderBy('name')
      .execute()
    assert.deepEqual(owners, [{ name: 'Ada' }, { name: 'Bob' }])
  })

  test('aggregates, having, limit and offset', async () => {
    const { kysely } = await withPeople()
    const kinds = await kysely
      .selectFrom('pet')
      .select(({ fn }) => ['kind', fn.countAll<number>().as('n')])
      .groupBy('kind')
      .having(({ fn }) => fn.countAll(), '>', 1)
      .execute()
    assert.deepEqual(kinds, [{ kind: 'cat', n: 2 }])
    const second = kysely.selectFrom('person').select('id').orderBy('id').limit(1).offset(1)
    assert.deepEqual(await second.execute(), [{ id: 2 }])
  })

  test('common table expressions, also recursive and writing', async () => {
    const { kysely } = await withPeople()
    const counted = await kysely
      .withRecursive('n(i)', (db) =>
        db
          .selectNoFrom(sql<number>`1`.as('i'))
          .unionAll(db.selectFrom('n').select(sql<number>`i + 1`.as('i')).where('i', '<', 5)),
      )
      .selectFrom('n')
      .select(({ fn }) => fn.sum<number>('i').as('sum'))
      .executeTakeFirstOrThrow()
    assert.equal(counted.sum, 15)
    const moved = await kysely
      .with('old', (db) => db.selectFrom('person').select('id').where('age', '>', 30))
      .deleteFrom('pet')
      .where('owner_id', 'in', (eb) => eb.selectFrom('old').select('old.id'))
      .executeTakeFirstOrThrow()
    assert.equal(moved.numDeletedRows, 2n)
  })

  test('unions and window functions', async () => {
    const { kysely } = await withPeople()
    const all = await kysely
      .selectFrom('person')
      .select('name')
      .union(kysely.selectFrom('pet').select('name'))
      .orderBy('name')
      .execute()
    assert.equal(all.length, 6)
    const ranked = await kysely
      .selectFrom('pet')
      .select(({ fn }) => [
        'name',
        fn
          .agg<number>('row_number')
          .over((o) => o.partitionBy('owner_id').orderBy('id'))
          .as('at'),
      ])
      .orderBy('id')
      .execute()
    assert.deepEqual(
      ranked.map(({ at }) => at),
      [1, 2, 1],
    )
  })

  test('inserts from a query', async () => {
    const { kysely } = await withPeople()
    const result = await kysely
      .insertInto('person')
      .columns(['name', 'age'])
      .expression((eb) => eb.selectFrom('pet').select(['pet.name', 'pet.id']))
      .executeTakeFirstOrThrow()
    assert.equal(result.numInsertedOrUpdatedRows, 3n)
  })

  test('nested rows as JSON', async () => {
    const { kysely } = await withPeople()
    const rows = await kysely
      .withPlugin(new ParseJSONResultsPlugin())
      .selectFrom('person')
      .select((eb) => [
        'name',
        jsonArrayFrom(
          eb.selectFrom('pet').select('pet.name').whereRef('pet.owner_id', '=', 'person.id'),
        ).as('pets'),
        jsonObjectFrom(
          eb
            .selectFrom('pet')
            .select('pet.kind')
            .whereRef('pet.owner_id', '=', 'person.id')
            .limit(1),
        ).as('first'),
      ])
      .orderBy('id')
      .execute()
    assert.deepEqual(rows[0], {
      name: 'Ada',
      pets: [{ name: 'Tom' }, { name: 'Rex' }],
      first: { kind: 'cat' },
    })
    assert.deepEqual(rows[2]?.pets, [])
  })

  test('plugins see rows with their columns alone', async () => {
    const { db } = await withPeople()
    const dialect = new ColmenaDialect(db)
    const kysely = new Kysely<{ pet: { ownerId: number } }>({
      dialect,
      plugins: [new CamelCasePlugin()],
    })
    const row = await kysely.selectFrom('pet').select('ownerId').executeTakeFirstOrThrow()
    assert.deepEqual(row, { ownerId: 1 })
  })

  test('raw statements and compiled queries', async () => {
    const { kysely } = await withPeople()
    const { rows } = await sql<{ n: number }>`SELECT ${5} + 1 AS n`.execute(kysely)
    assert.deepEqual(rows, [{ n: 6 }])
    const compiled = CompiledQuery.raw('SELECT ? AS x', ['y'])
    assert.deepEqual((await kysely.executeQuery(compiled)).rows, [{ x: 'y' }])
  })

  test('streams', async () => {
    const { kysely } = await withPeople()
    const seen: number[] = []
    for await (const { id } of kysely.selectFrom('person').select('id').orderBy('id').stream(2)) {
      seen.push(id)
    }
    assert.deepEqual(seen, [1, 2, 3])
  })

  test('explains', async () => {
    const { kysely } = await withPeople()
    const plan = await kysely.selectFrom('person').selectAll().explain()
    assert.ok(plan.length > 0)
  })

  test('fail with what SQLite answers', async () => {
    const { kysely } = await withPeople()
    const failing = kysely.insertInto('person').values({ name: 'Ada', age: 1 }).execute()
    await assert.rejects(failing, (error) => error instanceof SqlError && error.rawCode === 2067)
    await assert.rejects(sql`SELEC 1`.execute(kysely), { code: 'ERR_SQL' })
  })

  test('end by a signal', async () => {
    const { kysely } = await withPeople()
    const signal = AbortSignal.abort(new Error('enough'))
    await assert.rejects(kysely.selectFrom('person').selectAll().execute({ signal }))
  })

  test('read at the level of their context, whatever ran before', async () => {
    const { db } = await withPeople()
    const levels: unknown[] = []
    const watched = new Proxy(db, {
      get: (target, key) => {
        if (key !== 'execute') return Reflect.get(target, key, target)
        return async (...args: Parameters<Database['execute']>) => {
          const result = await target.execute(...args)
          levels.push(result.consistency)
          return result
        }
      },
    })
    const kysely = new Kysely<Tables>({ dialect: new ColmenaDialect(watched) })
    const read = (): Promise<unknown> => kysely.selectFrom('person').selectAll().execute()
    await read()
    await withConsistency('strong', read)
    await withConsistency('none', read)
    assert.deepEqual(levels, ['weak', 'strong', 'none'])
  })
})
