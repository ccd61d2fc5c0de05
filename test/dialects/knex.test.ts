/** Knex on a node that follows: schema, types, statements, transactions, migrations. */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import Knex from 'knex'
import { knexClient } from '../../src/dialects/knex.ts'
import { type Database, SqlError, withConsistency } from '../../src/index.ts'
import { openDatabases } from './fixture.ts'

const databases = openDatabases()

interface Rig {
  readonly db: Database
  readonly knex: Knex.Knex
}

function rigOf(t: TestContext, db: Database, more: Knex.Knex.Config = {}): Rig {
  const knex = Knex({ client: knexClient(db), ...more })
  t.after(() => knex.destroy())
  return { db, knex }
}

function fresh(t: TestContext): Rig {
  return rigOf(t, databases.fresh())
}

async function withPeople(t: TestContext): Promise<Rig> {
  const rig = fresh(t)
  const { knex } = rig
  await knex.schema.createTable('person', (table) => {
    table.increments('id')
    table.string('name').notNullable().unique()
    table.integer('age')
    table.timestamp('born').notNullable().defaultTo(knex.fn.now())
  })
  await knex.schema.createTable('pet', (table) => {
    table.increments('id')
    table.integer('owner_id').notNullable().references('id').inTable('person').onDelete('CASCADE')
    table.string('name').notNullable()
    table.enum('kind', ['cat', 'dog']).notNullable()
  })
  await knex('person').insert([
    { name: 'Ada', age: 36 },
    { name: 'Bob', age: 20 },
    { name: 'Cleo', age: null },
  ])
  await knex('pet').insert([
    { owner_id: 1, name: 'Tom', kind: 'cat' },
    { owner_id: 1, name: 'Rex', kind: 'dog' },
    { owner_id: 2, name: 'Kit', kind: 'cat' },
  ])
  return rig
}

function names(knex: Knex.Knex): Promise<string[]> {
  return knex('person').orderBy('id').pluck('name')
}

suite('schema', () => {
  test('creates tables, and tells which there are', async (t) => {
    const { knex } = await withPeople(t)
    assert.equal(await knex.schema.hasTable('person'), true)
    assert.equal(await knex.schema.hasTable('nothing'), false)
    assert.equal(await knex.schema.hasColumn('person', 'age'), true)
    assert.equal(await knex.schema.hasColumn('person', 'size'), false)
    const twice = knex.schema.createTable('person', (table) => table.increments())
    await assert.rejects(Promise.resolve(twice), { code: 'ERR_SQL' })
  })

  test('adds and renames columns', async (t) => {
    const { knex } = await withPeople(t)
    await knex.schema.alterTable('pet', (table) => {
      table.float('weight')
    })
    await knex.schema.alterTable('pet', (table) => {
      table.renameColumn('weight', 'mass')
    })
    const info = await knex('pet').columnInfo()
    assert.equal(info['mass']?.type, 'float')
    assert.equal(info['weight'], undefined)
  })

  test('drops a column, which makes the table anew and keeps what refers to it', async (t) => {
    const { knex } = await withPeople(t)
    await knex.schema.alterTable('person', (table) => {
      table.dropColumn('age')
    })
    assert.deepEqual(Object.keys(await knex('person').columnInfo()), ['id', 'name', 'born'])
    assert.equal((await knex('pet')).length, 3)
    assert.deepEqual(await names(knex), ['Ada', 'Bob', 'Cleo'])
    await assert.rejects(Promise.resolve(knex('person').insert({ name: 'Ada' })), {
      extendedCode: 'SQLITE_CONSTRAINT_UNIQUE',
    })
  })

  test('alters a column, and keeps what refers to the table', async (t) => {
    const { knex } = await withPeople(t)
    await knex('person').update({ age: 1 })
    await knex.schema.alterTable('person', (table) => {
      table.integer('age').notNullable().defaultTo(7).alter()
    })
    await knex('person').insert({ name: 'Dan' })
    assert.deepEqual(await knex('person').pluck('age'), [1, 1, 1, 7])
    assert.equal((await knex('pet')).length, 3)
  })

  test('refuses to make a table anew where a foreign key would lead nowhere', async (t) => {
    const { knex, db } = await withPeople(t)
    await knex.schema.alterTable('pet', (table) => table.integer('friend_id'))
    await knex('pet').update({ friend_id: 99 })
    const foreign = knex.schema.alterTable('pet', (table) => {
      table.foreign('friend_id').references('id').inTable('person')
    })
    await assert.rejects(Promise.resolve(foreign), /FOREIGN KEY/i)
    assert.equal((await db.execute('PRAGMA foreign_key_list(pet)')).rows.length, 1)
    assert.equal((await knex('pet')).length, 3)
  })

  test('adds and drops foreign keys', async (t) => {
    const { knex, db } = await withPeople(t)
    await knex.schema.alterTable('pet', (table) => table.integer('friend_id'))
    await knex.schema.alterTable('pet', (table) => {
      table.foreign('friend_id').references('id').inTable('person')
    })
    assert.equal((await db.execute('PRAGMA foreign_key_list(pet)')).rows.length, 2)
    await knex.schema.alterTable('pet', (table) => {
      table.dropForeign('friend_id')
    })
    assert.equal((await db.execute('PRAGMA foreign_key_list(pet)')).rows.length, 1)
  })

  test('makes columns nullable or not', async (t) => {
    const { knex } = await withPeople(t)
    await knex.schema.alterTable('pet', (table) => {
      table.setNullable('name')
    })
    await knex('pet').insert({ owner_id: 1, name: null, kind: 'cat' })
    await knex('pet').whereNull('name').delete()
    await knex.schema.alterTable('pet', (table) => {
      table.dropNullable('name')
    })
    const nameless = knex('pet').insert({ owner_id: 1, name: null, kind: 'cat' })
    await assert.rejects(Promise.resolve(nameless), { extendedCode: 'SQLITE_CONSTRAINT_NOTNULL' })
  })

  test('changes the primary key', async (t) => {
    const { knex } = fresh(t)
    await knex.schema.createTable('pair', (table) => {
      table.integer('a').notNullable()
      table.integer('b').notNullable()
      table.primary(['a'])
    })
    await knex('pair').insert({ a: 1, b: 1 })
    await knex.schema.alterTable('pair', (table) => {
      table.dropPrimary()
    })
    await knex.schema.alterTable('pair', (table) => {
      table.primary(['a', 'b'])
    })
    await knex('pair').insert({ a: 1, b: 2 })
    const twice = knex('pair').insert({ a: 1, b: 2 })
    await assert.rejects(Promise.resolve(twice), { extendedCode: 'SQLITE_CONSTRAINT_PRIMARYKEY' })
  })

  test('makes and drops indexes', async (t) => {
    const { knex, db } = await withPeople(t)
    await knex.schema.alterTable('pet', (table) => {
      table.index(['name'], 'by_name')
      table.unique(['owner_id', 'name'], { indexName: 'once' })
    })
    const indexes = async (): Promise<unknown[]> =>
      (await db.execute('PRAGMA index_list(pet)')).rows.map(({ name }) => name)
    assert.deepEqual((await indexes()).sort(), ['by_name', 'once'])
    await knex.schema.alterTable('pet', (table) => {
      table.dropIndex(['name'], 'by_name')
      table.dropUnique(['owner_id', 'name'], 'once')
    })
    assert.deepEqual(await indexes(), [])
  })

  test('makes views', async (t) => {
    const { knex } = await withPeople(t)
    await knex.schema.createView('cats', (view) => {
      view.as(knex('pet').where({ kind: 'cat' }))
    })
    assert.equal((await knex('cats')).length, 2)
  })

  test('renames and drops tables', async (t) => {
    const { knex } = await withPeople(t)
    await knex.schema.renameTable('pet', 'animal')
    await knex.schema.dropTable('animal')
    await knex.schema.dropTableIfExists('animal')
    assert.equal(await knex.schema.hasTable('animal'), false)
  })

  test('holds checks and foreign keys', async (t) => {
    const { knex } = await withPeople(t)
    const owl = knex('pet').insert({ owner_id: 1, name: 'Ed', kind: 'owl' })
    await assert.rejects(Promise.resolve(owl), { extendedCode: 'SQLITE_CONSTRAINT_CHECK' })
    const stray = knex('pet').insert({ owner_id: 9, name: 'S', kind: 'cat' })
    await assert.rejects(Promise.resolve(stray), { extendedCode: 'SQLITE_CONSTRAINT_FOREIGNKEY' })
    await knex('person').where({ id: 1 }).delete()
    assert.equal((await knex('pet')).length, 1)
  })
})

suite('every type', () => {
  type Column = (table: Knex.Knex.CreateTableBuilder) => unknown
  const types: readonly [name: string, column: Column, written: unknown, read: unknown][] = [
    ['integer', (table) => table.integer('v'), 42, 42],
    ['bigint', (table) => table.bigInteger('v'), 2n ** 62n, 2n ** 62n],
    ['tinyint', (table) => table.tinyint('v'), 5, 5],
    ['float', (table) => table.float('v'), 1.5, 1.5],
    ['double', (table) => table.double('v'), 1e300, 1e300],
    ['decimal', (table) => table.decimal('v', 10, 2), 12.5, 12.5],
    ['string', (table) => table.string('v', 100), 'héllo 🐝', 'héllo 🐝'],
    ['text', (table) => table.text('v'), '7', '7'],
    ['boolean', (table) => table.boolean('v'), true, 1],
    ['date', (table) => table.date('v'), new Date(1_700_000_000_000), 1_700_000_000_000],
    ['datetime', (table) => table.dateTime('v'), '2026-01-01 00:00:00', '2026-01-01 00:00:00'],
    ['binary', (table) => table.binary('v'), Buffer.from([0, 255]), Buffer.from([0, 255])],
    ['json', (table) => table.json('v'), '{"a":1}', '{"a":1}'],
    ['uuid', (table) => table.uuid('v'), 'a-b', 'a-b'],
    ['null', (table) => table.text('v'), null, null],
  ]

  for (const [name, column, written, read] of types) {
    test(`keeps ${name}`, async (t) => {
      const { knex } = fresh(t)
      await knex.schema.createTable('everything', (table) => void column(table))
      await knex('everything').insert({ v: written })
      assert.deepEqual(await knex('everything').first(), { v: read })
    })
  }

  test('columns may have any name', async (t) => {
    const { knex } = fresh(t)
    assert.deepEqual(await knex.select(knex.raw('1 AS length, 2 AS "0"')).first(), {
      length: 1,
      0: 2,
    })
  })
})

suite('statements', () => {
  test('an insert answers with its rowid, updates and deletes with counts', async (t) => {
    const { knex } = await withPeople(t)
    assert.deepEqual(await knex('person').insert({ name: 'Dan' }), [4])
    assert.equal(await knex('person').where('id', '>', 2).update({ age: 1 }), 2)
    assert.equal(await knex('person').where('id', '>', 2).delete(), 2)
  })

  test('returning gives rows of inserts and updates', async (t) => {
    const { knex } = await withPeople(t)
    const dan = await knex('person').insert({ name: 'Dan', age: 1 }).returning(['id', 'name'])
    assert.deepEqual(dan, [{ id: 4, name: 'Dan' }])
    const older = await knex('person').where({ id: 4 }).increment('age', 5).returning('age')
    assert.deepEqual(older, [{ age: 6 }])
  })

  test('upserts by merging, by ignoring, and where a condition holds', async (t) => {
    const { knex } = await withPeople(t)
    await knex('person').insert({ name: 'Ada', age: 1 }).onConflict('name').ignore()
    const age = async (): Promise<unknown> => (await knex('person').where({ id: 1 }).first())?.age
    assert.equal(await age(), 36)
    await knex('person').insert({ name: 'Ada', age: 2 }).onConflict('name').merge(['age'])
    assert.equal(await age(), 2)
    await knex('person')
      .insert({ name: 'Ada', age: 3 })
      .onConflict('name')
      .merge({ age: 3 })
      .where('person.age', '>', 100)
    assert.equal(await age(), 2)
  })

  test('joins, with aggregates', async (t) => {
    const { knex } = await withPeople(t)
    const rows = await knex('person')
      .leftJoin('pet', 'pet.owner_id', 'person.id')
      .groupBy('person.id')
      .orderBy('person.id')
      .select('person.name')
      .count({ pets: 'pet.id' })
    assert.deepEqual(rows, [
      { name: 'Ada', pets: 2 },
      { name: 'Bob', pets: 1 },
      { name: 'Cleo', pets: 0 },
    ])
    const inner = await knex('pet').join('person', 'person.id', 'owner_id').where({ kind: 'dog' })
    assert.equal(inner[0]?.name, 'Ada')
  })

  test('subqueries, in, between and null', async (t) => {
    const { knex } = await withPeople(t)
    const owners = await knex('person')
      .whereIn('id', knex('pet').select('owner_id'))
      .whereBetween('age', [18, 40])
      .whereNotNull('age')
      .orderBy('name', 'desc')
      .pluck('name')
    assert.deepEqual(owners, ['Bob', 'Ada'])
  })

  test('common table expressions, also recursive', async (t) => {
    const { knex } = await withPeople(t)
    const cats = await knex
      .with('cats', knex('pet').where({ kind: 'cat' }))
      .from('cats')
      .count({ n: '*' })
    assert.deepEqual(cats, [{ n: 2 }])
    const counted = await knex
      .withRecursive('n', ['i'], knex.raw('SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5'))
      .from('n')
      .sum({ sum: 'i' })
    assert.deepEqual(counted, [{ sum: 15 }])
  })

  test('unions, windows, limit and offset', async (t) => {
    const { knex } = await withPeople(t)
    const all = await knex('person').select('name').union(knex('pet').select('name'))
    assert.equal(all.length, 6)
    const ranked = await knex('pet')
      .rowNumber('at', { column: 'id' }, 'owner_id')
      .select('name')
      .orderBy('id')
    assert.deepEqual(
      ranked.map(({ at }) => at),
      [1, 2, 1],
    )
    assert.deepEqual(await knex('person').orderBy('id').limit(1).offset(1).pluck('name'), ['Bob'])
  })

  test('inserts from a query, and in batches', async (t) => {
    const { knex } = await withPeople(t)
    await knex(knex.raw('?? (??, ??)', ['person', 'name', 'age'])).insert(
      knex('pet').select('name', 'id'),
    )
    assert.equal((await names(knex)).length, 6)
    const many = Array.from({ length: 50 }, (_, at) => ({ name: `n${at}`, age: at }))
    await knex.batchInsert('person', many, 20)
    assert.equal((await names(knex)).length, 56)
  })

  test('rows of different columns get nulls', async (t) => {
    const { knex } = await withPeople(t)
    await knex('person').insert([{ name: 'Dan', age: 4 }, { name: 'Eve' }])
    assert.deepEqual(await knex('person').where('id', '>', 3).pluck('age'), [4, null])
  })

  test('first, pluck, distinct and raw', async (t) => {
    const { knex } = await withPeople(t)
    assert.equal(await knex('person').where({ id: 99 }).first(), undefined)
    assert.deepEqual(await knex('pet').distinct().orderBy('kind').pluck('kind'), ['cat', 'dog'])
    assert.deepEqual(await knex.raw('SELECT ? + 1 AS n', [5]), [{ n: 6 }])
    assert.deepEqual(await knex.raw('SELECT :a AS a', { a: 'b' }), [{ a: 'b' }])
  })

  test('reads JSON by path', async (t) => {
    const { knex } = fresh(t)
    await knex.schema.createTable('doc', (table) => void table.json('v'))
    await knex('doc').insert({ v: JSON.stringify({ a: { b: [1, 'x'] } }) })
    assert.deepEqual(await knex('doc').jsonExtract('v', '$.a.b[1]', 'at').first(), { at: 'x' })
  })

  test('generates the same id on all nodes', async (t) => {
    const { knex, db } = fresh(t)
    await knex.schema.createTable('thing', (table) => {
      table.uuid('id').primary().defaultTo(knex.fn.uuid())
      table.text('v')
    })
    const [row] = await knex('thing').insert({ v: 'x' }).returning('id')
    assert.match(row.id, /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/)
    const { rows } = await databases.onLeader(db).execute('SELECT id FROM thing')
    assert.deepEqual(rows, [row])
  })

  test('streams', async (t) => {
    const { knex } = await withPeople(t)
    const seen: unknown[] = []
    for await (const row of knex('person').orderBy('id').stream()) seen.push(row.id)
    assert.deepEqual(seen, [1, 2, 3])
  })

  test('fail with what SQLite answers, and the statement', async (t) => {
    const { knex } = await withPeople(t)
    const failing = Promise.resolve(knex('person').insert({ name: 'Ada' }))
    await assert.rejects(
      failing,
      (error) =>
        error instanceof SqlError && error.rawCode === 2067 && /insert/.test(error.message),
    )
  })

  test('run at once, as many as are called', async (t) => {
    const { knex } = await withPeople(t)
    const inserts = Array.from({ length: 100 }, (_, at) =>
      knex('person').insert({ name: `n${at}`, age: at }),
    )
    await Promise.all(inserts)
    assert.deepEqual(await knex('person').count({ n: '*' }), [{ n: 103 }])
  })

  test('read at the level of their context, though a pool serves them', async (t) => {
    const { db } = await withPeople(t)
    const levels: unknown[] = []
    const watched = new Proxy(db, {
      get: (target, key) => {
        if (key !== 'execute') return Reflect.get(target, key, target)
        return async (sql: string, args: []) => {
          const result = await target.execute(sql, args)
          levels.push(`${result.rows[0]?.['asked']} ${result.consistency}`)
          return result
        }
      },
    })
    const { knex } = rigOf(t, watched, { pool: { min: 0, max: 1 } })
    const read = (asked: string): Promise<unknown> =>
      Promise.resolve(knex('person').select(knex.raw('? AS asked', [asked])))
    await Promise.all([
      read('weak'),
      withConsistency('strong', () => read('strong')),
      withConsistency('none', () => read('none')),
      read('weak'),
    ])
    assert.deepEqual(levels.sort(), ['none none', 'strong strong', 'weak weak', 'weak weak'])
  })
})

suite('transactions', () => {
  test('commit what they did, seen from the leader', async (t) => {
    const { knex, db } = await withPeople(t)
    const id = await knex.transaction(async (trx) => {
      const [inserted] = await trx('person').insert({ name: 'Dan' })
      assert.equal((await names(trx)).length, 4)
      assert.equal((await names(knex)).length, 3)
      return inserted
    })
    assert.equal(id, 4)
    const { rows } = await databases.onLeader(db).execute('SELECT count(*) AS n FROM person')
    assert.deepEqual(rows, [{ n: 4 }])
  })

  test('roll back where their work throws', async (t) => {
    const { knex } = await withPeople(t)
    const failed = knex.transaction(async (trx) => {
      await trx('person').delete()
      throw new Error('changed my mind')
    })
    await assert.rejects(failed, { message: 'changed my mind' })
    assert.equal((await names(knex)).length, 3)
  })

  test('by hand, committed and rolled back', async (t) => {
    const { knex } = await withPeople(t)
    const first = await knex.transaction()
    await first('person').insert({ name: 'Dan' })
    await first.commit()
    const second = await knex.transaction()
    await second('person').delete()
    await second.rollback()
    assert.deepEqual(await names(knex), ['Ada', 'Bob', 'Cleo', 'Dan'])
  })

  test('nest by savepoints, each taken back or kept', async (t) => {
    const { knex } = await withPeople(t)
    await knex.transaction(async (trx) => {
      await trx('person').insert({ name: 'outer' })
      const inner = trx.transaction(async (nested) => {
        await nested('person').insert({ name: 'taken back' })
        throw new Error('inner')
      })
      await assert.rejects(inner, { message: 'inner' })
      await trx.transaction(async (nested) => {
        await nested('person').insert({ name: 'kept' })
      })
    })
    assert.deepEqual(await names(knex), ['Ada', 'Bob', 'Cleo', 'outer', 'kept'])
  })

  test('claim by looking at the count', async (t) => {
    const { knex } = await withPeople(t)
    const claim = (): Promise<boolean> =>
      knex.transaction(async (trx) => {
        const count = await trx('person')
          .where({ name: 'Cleo' })
          .whereNull('age')
          .update({ age: 1 })
        return count === 1
      })
    const claims = await Promise.all([claim(), claim(), claim()])
    assert.equal(claims.filter(Boolean).length, 1)
  })

  test('take statements of the query builder, and change the schema', async (t) => {
    const { knex } = await withPeople(t)
    const failed = knex.transaction(async (trx) => {
      await knex('person').insert({ name: 'Dan' }).transacting(trx)
      await trx.schema.createTable('extra', (table) => table.increments())
      throw new Error('no')
    })
    await assert.rejects(failed, { message: 'no' })
    assert.equal(await knex.schema.hasTable('extra'), false)
    assert.equal((await names(knex)).length, 3)
  })

  test('with foreign keys off run together, and answer nothing in between', async (t) => {
    const { knex } = await withPeople(t)
    const off: Knex.Knex.TransactionConfig = { ...{ enforceForeignCheck: false } }
    await knex.transaction(async (trx) => {
      assert.equal((await trx('pet')).length, 3)
      await trx('pet').update({ owner_id: 77 })
      await assert.rejects(Promise.resolve(trx('pet')), { code: 'ERR_REFUSED_SQL' })
      await trx('person').insert({ id: 77, name: 'late' })
    }, off)
    assert.deepEqual(await knex('pet').distinct().pluck('owner_id'), [77])
    const dangling = knex.transaction((trx) => trx('pet').update({ owner_id: 78 }), off)
    await assert.rejects(dangling, /FOREIGN KEY/i)
    const counting = knex.transaction(async (trx) => {
      await trx('pet').delete()
      await trx('pet').insert({ owner_id: 77, name: 'x', kind: 'cat' }).returning('id')
    }, off)
    await assert.rejects(counting, { code: 'ERR_REFUSED_SQL' })
    assert.equal((await knex('pet')).length, 3)
  })
})

suite('migrations', () => {
  const steps: Readonly<Record<string, Knex.Knex.Migration>> = {
    '1_posts': {
      up: async (knex) => {
        await knex.schema.createTable('post', (table) => table.increments())
        await knex('post').insert({ id: 1 })
      },
      down: (knex) => knex.schema.dropTable('post'),
    },
    '2_title': {
      up: (knex) => knex.schema.alterTable('post', (table) => table.string('title')),
      down: (knex) => knex.schema.alterTable('post', (table) => table.dropColumn('title')),
    },
  }
  const sourceOf = (
    migrations: Readonly<Record<string, Knex.Knex.Migration>> = steps,
  ): Knex.Knex.MigratorConfig => ({
    migrationSource: {
      getMigrations: async () => Object.keys(migrations),
      getMigrationName: (name: string) => name,
      getMigration: async (name: string) => migrations[name] as Knex.Knex.Migration,
    },
  })

  test('go up once, and down', async (t) => {
    const { knex } = fresh(t)
    const [batch, done] = await knex.migrate.latest(sourceOf())
    assert.deepEqual([batch, done], [1, ['1_posts', '2_title']])
    const [, again] = await knex.migrate.latest(sourceOf())
    assert.deepEqual(again, [])
    assert.deepEqual(await knex('post'), [{ id: 1, title: null }])
    await knex.migrate.rollback(sourceOf())
    assert.equal(await knex.schema.hasTable('post'), false)
  })

  test('leave nothing of a batch in which one fails', async (t) => {
    const { knex } = fresh(t)
    const broken: Knex.Knex.Migration = {
      up: async (trx) => {
        await trx('post').insert({ id: 2 })
        await trx.raw('SELEC 1')
      },
      down: async () => {},
    }
    const failed = knex.migrate.latest(sourceOf({ ...steps, '3_broken': broken }))
    await assert.rejects(failed, { code: 'ERR_SQL' })
    assert.equal(await knex.schema.hasTable('post'), false)
    const [completed] = await knex.migrate.list(sourceOf())
    assert.deepEqual(completed, [])
  })

  test('make a table anew that others refer to, outside of a transaction', async (t) => {
    const { knex } = await withPeople(t)
    const alone = {
      up: (db: Knex.Knex) => db.schema.alterTable('person', (table) => table.dropColumn('age')),
      down: async () => {},
      config: { transaction: false },
    }
    await knex.migrate.latest(sourceOf({ '1_alone': alone }))
    assert.equal(await knex.schema.hasColumn('person', 'age'), false)
    assert.equal((await knex('pet')).length, 3)
  })

  test('leave our own tables alone, and out of sight', async (t) => {
    const { knex } = await withPeople(t)
    const tables = await knex('sqlite_master').where({ type: 'table' }).pluck('name')
    assert.deepEqual(
      tables.filter((name) => /^_colmena/.test(name)),
      [],
    )
    const own = Promise.resolve(knex.schema.dropTable('_colmena_state'))
    await assert.rejects(own, { code: 'ERR_REFUSED_SQL' })
  })
})
