/** Prisma's commands (6.19, with an adapter) through the server of a node that follows. */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { Project, readRecipe } from './project.ts'
import { openServed, type ServedDatabase } from './served.ts'

const served = openServed()
const recipe = readRecipe("Prisma's commands")
const [pull = '', push = '', diff = '', deploy = ''] = recipe.commands

/** What no command is to show, nor any schema that is made of the database. */
const OWN = /_colmena_/

const MODELS = `
model Person {
  id    Int    @id @default(autoincrement())
  email String @unique
  age   Int?
  pets  Pet[]
}

model Pet {
  id      Int    @id @default(autoincrement())
  name    String
  ownerId Int
  owner   Person @relation(fields: [ownerId], references: [id], onDelete: Cascade)
}
`

/** As Prisma writes it for them. */
const CREATION = [
  'CREATE TABLE "Person" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, ' +
    '"email" TEXT NOT NULL, "age" INTEGER)',
  'CREATE TABLE "Pet" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "name" TEXT NOT NULL, ' +
    '"ownerId" INTEGER NOT NULL, CONSTRAINT "Pet_ownerId_fkey" FOREIGN KEY ("ownerId") ' +
    'REFERENCES "Person" ("id") ON DELETE CASCADE ON UPDATE CASCADE)',
  'CREATE UNIQUE INDEX "Person_email_key" ON "Person"("email")',
]

async function begin(
  t: TestContext,
  name: string,
): Promise<{ readonly project: Project; readonly served: ServedDatabase }> {
  const database = await served.fresh(name)
  const project = new Project({
    prisma: 'prisma-6',
    '@prisma/adapter-libsql': 'prisma-6-adapter-libsql',
  })
  t.after(() => project.remove())
  for (const [file, text] of Object.entries(recipe.files)) project.write(file, database.adapt(text))
  return { project, served: database }
}

/** With models, as the file of the recipe has none. */
function addModels(project: Project, models: string): void {
  const [head = ''] = project.read('schema.prisma').split('\nmodel ')
  project.write('schema.prisma', head + models)
}

async function fill({ db }: ServedDatabase): Promise<void> {
  await db.batch([
    "INSERT INTO Person (email, age) VALUES ('ada@x', 36), ('bob@x', 20)",
    "INSERT INTO Pet (ownerId, name) VALUES (1, 'Tom'), (2, 'Rex')",
  ])
}

async function petsOf({ db }: ServedDatabase): Promise<unknown[]> {
  const columns = 'Pet.id, name, email, age'
  const sql = `SELECT ${columns} FROM Person JOIN Pet ON ownerId = Person.id ORDER BY Pet.id`
  return (await db.execute(sql)).rows.map((row) => ({ ...row }))
}

const PETS = [
  { id: 1, name: 'Tom', email: 'ada@x', age: 36 },
  { id: 2, name: 'Rex', email: 'bob@x', age: 20 },
]

suite('prisma', () => {
  test('db pull makes models of all tables but our own', async (t) => {
    const { project, served } = await begin(t, 'pulled')
    await served.db.migrate([
      'CREATE TABLE Person (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE)',
      `CREATE TABLE Pet (id INTEGER PRIMARY KEY, ownerId INTEGER NOT NULL
        REFERENCES Person (id) ON DELETE CASCADE, born DATETIME)`,
      'CREATE INDEX pet_born ON Pet (born)',
      'CREATE VIEW old AS SELECT * FROM Pet WHERE born < 0',
    ])
    const output = await project.run(pull)
    assert.match(output, /Introspected 2 models/)
    const schema = project.read('schema.prisma')
    const models = [...schema.matchAll(/^model (\w+)/gm)].map(([, name]) => name)
    assert.deepEqual(models, ['Person', 'Pet'])
    assert.match(schema, /Person +Person +@relation\(fields: \[ownerId\].*onDelete: Cascade/)
    assert.match(schema, /@@index\(\[born\], map: "pet_born"\)/)
    assert.doesNotMatch(output + schema, OWN)
    await served.assertUnharmed()
  })

  test('db push makes what is new, and harms nothing that it can not make anew', async (t) => {
    const { project, served } = await begin(t, 'pushed')
    await served.db.batch(CREATION)
    await fill(served)
    const more = `${MODELS}model Toy {\n  id Int @id\n}\n`
    addModels(project, more)
    assert.doesNotMatch(await project.run(push), OWN)
    await served.db.execute('INSERT INTO Toy VALUES (1)')
    addModels(project, more.replace('age   Int?', 'age   Int @default(7)'))
    assert.match(await project.run(push, 1), /PRAGMA foreign_keys = off is refused/i)
    assert.deepEqual(await petsOf(served), PETS)
    await served.assertUnharmed()
  })

  test('migrate deploy applies each step once, also where it makes tables anew', async (t) => {
    const { project, served } = await begin(t, 'deployed')
    project.write('migrations/1/migration.sql', `${CREATION.join(';\n')};\n`)
    await project.run(deploy)
    await fill(served)
    addModels(project, MODELS)
    project.write('old.prisma', project.read('schema.prisma'))
    addModels(project, MODELS.replace('age   Int?', 'age   Int @default(7)\n  nick  String?'))
    // The shell wants the folder that it writes to.
    project.write('migrations/2/README', '')
    await project.run(diff)
    assert.match(project.read('migrations/2/migration.sql'), /PRAGMA foreign_keys=OFF;/)
    assert.match(await project.run(deploy), /migrations have been successfully applied/)
    assert.match(await project.run(deploy), /No pending migrations to apply/)
    await served.db.execute("INSERT INTO Person (email) VALUES ('cleo@x')")
    const { rows } = await served.db.execute("SELECT age FROM Person WHERE email = 'cleo@x'")
    assert.deepEqual({ ...rows[0] }, { age: 7 })
    assert.deepEqual(await petsOf(served), PETS)
    await served.assertUnharmed()
  })
})
