/** Drizzle Kit's commands through the server of a node that follows, as docs/tools.md has them. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { eq } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/libsql'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { Project, readRecipe } from './project.ts'
import { openServed, type ServedDatabase, TOKEN } from './served.ts'

const served = openServed()
const recipe = readRecipe('Drizzle Kit')
const [generate = '', migrate = '', push = ''] = recipe.commands

interface Tables {
  readonly id?: string
  readonly person?: string
  readonly pet?: string
  readonly more?: string
}

/** What a user's schema.ts says; `{}` is what a test begins with. */
function schema(tables: Tables): string {
  const { id = '{ autoIncrement: true }', more = '' } = tables
  const { person = 'age: integer()', pet = 'name: text().notNull()' } = tables
  return `
import { integer, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'

export const person = sqliteTable('person', {
  id: integer().primaryKey(${id}),
  email: text().notNull().unique(),
  ${person},
})
export const pet = sqliteTable('pet', {
  id: integer().primaryKey(),
  owner: integer().notNull().references(() => person.id, { onDelete: 'cascade' }),
  ${pet},
})
${more}`
}

async function begin(
  t: TestContext,
  name: string,
): Promise<{ readonly project: Project; readonly served: ServedDatabase }> {
  const database = await served.fresh(name)
  const packages = ['drizzle-kit', 'drizzle-orm', '@libsql/client']
  const project = new Project(Object.fromEntries(packages.map((each) => [each, each])))
  t.after(() => project.remove())
  for (const [file, text] of Object.entries(recipe.files)) project.write(file, database.adapt(text))
  project.write('schema.ts', schema({}))
  return { project, served: database }
}

/** A person with a pet, which goes where the person is deleted, and another. */
async function fill({ db }: ServedDatabase): Promise<void> {
  await db.batch([
    "INSERT INTO person (email, age) VALUES ('ada@x', 36), ('bob@x', NULL)",
    "INSERT INTO pet (owner, name) VALUES (1, 'Tom'), (2, 'Rex')",
  ])
}

async function rowsOf({ db }: ServedDatabase, sql: string): Promise<unknown[]> {
  return (await db.execute(sql)).rows.map((row) => ({ ...row }))
}

async function tablesOf(database: ServedDatabase): Promise<unknown[]> {
  const sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
  return (await rowsOf(database, `${sql} ORDER BY name`)).map(
    (row) => Object.values(row as object)[0],
  )
}

/** Takes the second of the offered answers: a rename, and not a new one. */
function renaming(shown: string): string | null {
  if (shown.includes('❯ ~')) return '\r'
  return shown.includes('❯ +') && shown.includes('rename column') ? '\u001b[B' : null
}

/** Drizzle's errors have the server's as their cause. */
function because(words: RegExp): (error: Error) => boolean {
  return ({ cause }) => words.test(String(cause))
}

suite('drizzle-kit', () => {
  test('push makes a schema, changes it, and finds nothing to do in between', async (t) => {
    const { project, served } = await begin(t, 'pushed')
    assert.match(await project.run(push), /Changes applied/)
    await fill(served)
    assert.match(await project.run(push), /No changes detected/)
    assert.deepEqual(await tablesOf(served), ['person', 'pet'])
    const more = `export const toy = sqliteTable('toy', { id: integer().primaryKey() })`
    const pet = "name: text().notNull(), kind: text().default('cat')"
    project.write('schema.ts', schema({ pet, more }))
    await project.run(push)
    assert.deepEqual(await tablesOf(served), ['person', 'pet', 'toy'])
    project.write('schema.ts', schema({ person: 'years: integer()', pet, more }))
    assert.match(await project.type(push, renaming), /age › years column will be renamed/)
    // This makes the table anew that pets refer to, and takes the toys away.
    project.write('schema.ts', schema({ id: '', person: 'years: integer()', pet }))
    assert.match(await project.run(`${push} --force --verbose`), /DROP TABLE `person`/)
    assert.deepEqual(await tablesOf(served), ['person', 'pet'])
    const joined = 'SELECT years, name, kind FROM person JOIN pet ON owner = person.id'
    assert.deepEqual(await rowsOf(served, `${joined} ORDER BY person.id`), [
      { years: 36, name: 'Tom', kind: 'cat' },
      { years: null, name: 'Rex', kind: 'cat' },
    ])
    await served.assertUnharmed()
  })

  test("push changes nothing where it takes libsql's own ALTER COLUMN", async (t) => {
    const { project, served } = await begin(t, 'altered')
    await project.run(push)
    await fill(served)
    const before = await rowsOf(served, 'SELECT sql FROM sqlite_master')
    project.write('schema.ts', schema({ person: 'age: text()' }))
    assert.match(await project.run(`${push} --force`), /near "TO": syntax error/)
    assert.deepEqual(await rowsOf(served, 'SELECT sql FROM sqlite_master'), before)
    await served.assertUnharmed()
  })

  test('generate and migrate do each step once, also where a column changes', async (t) => {
    const { project, served } = await begin(t, 'migrated')
    await project.run(generate)
    await project.run(migrate)
    await fill(served)
    project.write('schema.ts', schema({ person: 'age: integer().notNull().default(7)' }))
    await served.db.execute('UPDATE person SET age = 20 WHERE age IS NULL')
    await project.run(generate)
    await project.run(migrate)
    await project.run(migrate)
    const steps = readdirSync(join(project.path, 'drizzle')).filter((name) => name.endsWith('.sql'))
    const done = await rowsOf(served, 'SELECT count(*) AS n FROM __drizzle_migrations')
    assert.deepEqual([steps.length, done], [2, [{ n: 2 }]])
    await served.db.execute("INSERT INTO person (email) VALUES ('cleo@x')")
    const joined = 'SELECT email, age, name FROM person LEFT JOIN pet ON owner = person.id'
    assert.deepEqual(await rowsOf(served, `${joined} ORDER BY person.id`), [
      { email: 'ada@x', age: 36, name: 'Tom' },
      { email: 'bob@x', age: 20, name: 'Rex' },
      { email: 'cleo@x', age: 7, name: null },
    ])
    await served.assertUnharmed()
  })
})

suite('drizzle', () => {
  test('works through the server', async (t) => {
    const { db, url } = await served.fresh('served')
    await db.migrate([
      'CREATE TABLE person (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE)',
      'CREATE TABLE pet (id INTEGER PRIMARY KEY, owner INTEGER NOT NULL REFERENCES person)',
    ])
    const person = sqliteTable('person', { id: integer().primaryKey(), email: text().notNull() })
    const pet = sqliteTable('pet', { id: integer().primaryKey(), owner: integer().notNull() })
    const orm = drizzle({ connection: { url, authToken: TOKEN } })
    t.after(() => orm.$client.close())
    await orm.transaction(async (tx) => {
      const [ada] = await tx.insert(person).values({ email: 'ada@x' }).returning()
      await tx.insert(pet).values({ owner: ada?.id ?? 0 })
      const nested = tx.transaction(async (inner) => {
        await inner.delete(pet)
        throw new Error('keep it')
      })
      await assert.rejects(nested, { message: 'keep it' })
    })
    await orm.batch([
      orm.insert(person).values({ email: 'bob@x' }),
      orm.update(person).set({ email: 'ADA@x' }).where(eq(person.id, 1)),
    ])
    const rows = await orm.select().from(person).leftJoin(pet, eq(pet.owner, person.id))
    assert.deepEqual(rows, [
      { person: { id: 1, email: 'ADA@x' }, pet: { id: 1, owner: 1 } },
      { person: { id: 2, email: 'bob@x' }, pet: null },
    ])
    const twice = orm.insert(person).values({ email: 'bob@x' })
    await assert.rejects(twice, because(/UNIQUE constraint failed: person.email/))
    await assert.rejects(orm.run('DROP TABLE _colmena_state'), because(/Colmena's own/))
  })
})
