/** Kysely's transactions and migrations on a node that follows. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Kysely, sql } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import { ColmenaDialect } from '../../src/dialects/kysely.ts'
import { type Database, isColmenaError } from '../../src/index.ts'
import { databases, names, withPeople } from './kysely-people.ts'

suite('transactions', () => {
  test('commit what they did, seen from the leader', async () => {
    const { kysely, db } = await withPeople()
    const id = await kysely.transaction().execute(async (trx) => {
      const { insertId } = await trx
        .insertInto('person')
        .values({ name: 'Dan', age: 4 })
        .executeTakeFirstOrThrow()
      const seen = await trx.selectFrom('person').select('id').where('name', '=', 'Dan').execute()
      assert.deepEqual(seen, [{ id: 4 }])
      assert.equal((await names(kysely)).length, 3)
      return insertId
    })
    assert.equal(id, 4n)
    const { rows } = await databases.onLeader(db).execute('SELECT count(*) AS n FROM person')
    assert.deepEqual(rows, [{ n: 4 }])
  })

  test('roll back where their work throws', async () => {
    const { kysely } = await withPeople()
    const failed = kysely.transaction().execute(async (trx) => {
      await trx.deleteFrom('person').execute()
      throw new Error('changed my mind')
    })
    await assert.rejects(failed, { message: 'changed my mind' })
    assert.deepEqual(await names(kysely), ['Ada', 'Bob', 'Cleo'])
  })

  test('go on after a statement that failed', async () => {
    const { kysely } = await withPeople()
    await kysely.transaction().execute(async (trx) => {
      await trx.insertInto('person').values({ name: 'Dan', age: 1 }).execute()
      const twice = trx.insertInto('person').values({ name: 'Dan', age: 2 }).execute()
      await assert.rejects(twice, { extendedCode: 'SQLITE_CONSTRAINT_UNIQUE' })
    })
    assert.equal((await names(kysely)).length, 4)
  })

  test('claim by looking at the count', async () => {
    const { kysely } = await withPeople()
    const claim = (): Promise<boolean> =>
      kysely.transaction().execute(async (trx) => {
        const { numUpdatedRows } = await trx
          .updateTable('person')
          .set({ age: 1 })
          .where('name', '=', 'Cleo')
          .where('age', 'is', null)
          .executeTakeFirstOrThrow()
        return numUpdatedRows === 1n
      })
    const claims = await Promise.all([claim(), claim(), claim()])
    assert.equal(claims.filter(Boolean).length, 1)
  })

  test('of mode read only write nothing', async () => {
    const { kysely } = await withPeople()
    await kysely
      .transaction()
      .setAccessMode('read only')
      .execute(async (trx) => {
        assert.equal((await names(trx)).length, 3)
        await kysely.insertInto('person').values({ name: 'Dan', age: 1 }).execute()
        assert.equal((await names(trx)).length, 3)
        await assert.rejects(trx.deleteFrom('person').execute(), { code: 'ERR_INVALID_ARGUMENT' })
      })
    assert.equal((await names(kysely)).length, 4)
  })

  test('take any isolation level: they are serializable', async () => {
    const { kysely } = await withPeople()
    const serial = kysely.transaction().setIsolationLevel('serializable')
    await serial.execute((trx) => trx.deleteFrom('pet').execute())
    assert.deepEqual(await kysely.selectFrom('pet').selectAll().execute(), [])
  })

  test('by hand, with savepoints that are taken back or kept', async () => {
    const { kysely } = await withPeople()
    const trx = await kysely.startTransaction().execute()
    await trx.insertInto('person').values({ name: 'kept', age: 1 }).execute()
    const first = await trx.savepoint('a "quoted" one').execute()
    await first.insertInto('person').values({ name: 'taken back', age: 1 }).execute()
    const back = await first.rollbackToSavepoint('a "quoted" one').execute()
    const second = await back.savepoint('b').execute()
    await second.insertInto('person').values({ name: 'released', age: 1 }).execute()
    const released = await second.releaseSavepoint('b').execute()
    await released.commit().execute()
    assert.deepEqual(await names(kysely), ['Ada', 'Bob', 'Cleo', 'kept', 'released'])
  })

  test('by hand, rolled back', async () => {
    const { kysely } = await withPeople()
    const trx = await kysely.startTransaction().execute()
    await trx.deleteFrom('person').execute()
    await trx.rollback().execute()
    assert.equal((await names(kysely)).length, 3)
  })

  test('change the schema and its data together', async () => {
    const { kysely, db } = await withPeople()
    const failed = kysely.transaction().execute(async (trx) => {
      await trx.schema.createTable('everything').addColumn('v', 'text').execute()
      await trx.insertInto('everything').values({ v: 'x' }).execute()
      throw new Error('no')
    })
    await assert.rejects(failed, { message: 'no' })
    const { rows } = await db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'everything'")
    assert.deepEqual(rows, [])
  })

  test('one connection runs what is given to it', async () => {
    const { kysely } = await withPeople()
    const count = await kysely.connection().execute(async (one) => (await names(one)).length)
    assert.equal(count, 3)
  })
})

suite('migrations', () => {
  const steps: Record<string, Migration> = {
    '1_posts': {
      up: async (db) => {
        await db.schema.createTable('post').addColumn('id', 'integer').execute()
        await sql`INSERT INTO post VALUES (1)`.execute(db)
      },
      down: (db) => db.schema.dropTable('post').execute(),
    },
    '2_title': {
      up: (db) => db.schema.alterTable('post').addColumn('title', 'text').execute(),
      down: (db) => db.schema.alterTable('post').dropColumn('title').execute(),
    },
  }
  const migratorOf = (db: Database, migrations: Record<string, Migration> = steps): Migrator => {
    const kysely = new Kysely<unknown>({ dialect: new ColmenaDialect(db) })
    return new Migrator({ db: kysely, provider: { getMigrations: async () => migrations } })
  }

  test('go up once, and down', async () => {
    const db = databases.fresh()
    const first = await migratorOf(db).migrateToLatest()
    assert.deepEqual(
      first.results?.map(({ migrationName, status }) => [migrationName, status]),
      [
        ['1_posts', 'Success'],
        ['2_title', 'Success'],
      ],
    )
    assert.deepEqual((await migratorOf(db).migrateToLatest()).results, [])
    assert.deepEqual((await db.execute('SELECT * FROM post')).rows, [{ id: 1, title: null }])
    await migratorOf(db).migrateDown()
    assert.deepEqual((await db.execute('SELECT * FROM post')).rows, [{ id: 1 }])
  })

  test('leave nothing where one of them fails', async () => {
    const db = databases.fresh()
    const broken: Migration = { up: async (k) => void (await sql`SELEC 1`.execute(k)) }
    const { error } = await migratorOf(db, { ...steps, '3_broken': broken }).migrateToLatest()
    assert.ok(isColmenaError(error))
    const { rows } = await db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'post'")
    assert.deepEqual(rows, [])
  })

  test('run once though nodes start them at once', async () => {
    const db = databases.fresh()
    const all = await Promise.all([
      migratorOf(db).migrateToLatest(),
      migratorOf(databases.onLeader(db)).migrateToLatest(),
      migratorOf(db).migrateToLatest(),
    ])
    assert.deepEqual(
      all.map(({ error }) => error),
      [undefined, undefined, undefined],
    )
    assert.equal(all.flatMap(({ results }) => results ?? []).length, 2)
    assert.deepEqual((await db.execute('SELECT count(*) AS n FROM post')).rows, [{ n: 1 }])
  })
})
