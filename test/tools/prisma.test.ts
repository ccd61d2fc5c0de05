/** Prisma's client in a node that follows, and through the server of one. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { createClient } from '@libsql/client/http'
import { CREATION, generateClient, openClient, type PrismaClient } from './prisma-client.ts'
import type { Project } from './project.ts'
import { openServed, type ServedDatabase, TOKEN } from './served.ts'

const served = openServed()
let project: Project
before(async () => {
  project = await generateClient()
})
after(() => project.remove())

/** Where a client runs, and what it can say there of a broken constraint. */
interface Place {
  readonly name: string
  readonly recipe: string
  readonly uniqueCode: string
  readonly foreignKeyCode: string
  readonly create: (served: ServedDatabase) => Promise<unknown>
}

const PLACES: readonly Place[] = [
  {
    name: 'in the node',
    recipe: 'in-the-node.js',
    uniqueCode: 'P2002',
    foreignKeyCode: 'P2003',
    create: ({ node, db }) =>
      node.migrate([{ version: 2, name: 'models', up: CREATION }], { database: db.name }),
  },
  {
    name: 'through a server',
    recipe: 'through-a-server.js',
    uniqueCode: 'P2039',
    foreignKeyCode: 'P2039',
    create: async ({ url }) => {
      const client = createClient({ url, authToken: TOKEN })
      await client.executeMultiple(CREATION)
      client.close()
    },
  },
]

for (const place of PLACES) {
  suite(`prisma ${place.name}`, () => {
    let database: ServedDatabase
    let prisma: PrismaClient
    before(async () => {
      database = await served.fresh(place.recipe.replace('.js', ''))
      await place.create(database)
      prisma = await openClient(project, database, place.recipe)
    })
    // What Prisma does with relations leaves nothing that a next test would see.
    beforeEach(() =>
      prisma.$transaction([
        prisma.pet.deleteMany(),
        prisma.person.deleteMany(),
        prisma.tag.deleteMany(),
        prisma.kinds.deleteMany(),
      ]),
    )
    after(() => prisma.$disconnect())

    test('creates rows with what refers to them, and finds them so', async () => {
      const created = await prisma.person.create({
        data: {
          email: 'ada@x',
          name: 'Ada',
          card: { create: { text: 'hello' } },
          pets: { create: [{ name: 'Tom', tags: { create: { label: 'cat' } } }, { name: 'Rex' }] },
        },
      })
      assert.ok(created.created instanceof Date)
      const [found, ...others] = await prisma.person.findMany({
        include: { card: true, pets: { include: { tags: true }, orderBy: { name: 'asc' } } },
      })
      assert.equal(others.length, 0)
      assert.deepEqual(found, {
        ...created,
        card: { id: found.card.id, text: 'hello', personId: created.id },
        pets: [
          { id: found.pets[0].id, name: 'Rex', ownerId: created.id, tags: [] },
          { id: found.pets[1].id, name: 'Tom', ownerId: created.id, tags: [{ label: 'cat' }] },
        ],
      })
    })

    test('creates many at once', async () => {
      const data = ['a', 'b', 'c'].map((label) => ({ label }))
      assert.deepEqual(await prisma.tag.createMany({ data }), { count: 3 })
      const more = await prisma.tag.createManyAndReturn({ data: [{ label: 'd' }] })
      assert.deepEqual(more, [{ label: 'd' }])
      const many = Array.from({ length: 20 }, (_, age) =>
        prisma.person.create({ data: { email: `${age}@x`, age } }),
      )
      assert.equal(new Set((await Promise.all(many)).map(({ id }) => id)).size, 20)
      assert.equal(await prisma.person.count(), 20)
    })

    test('finds by what is asked for, in order, and page by page', async () => {
      const data = [36, 20, 20, 50].map((age, i) => ({ email: `${i}@x`, age }))
      await prisma.person.createMany({ data })
      const byAge = { orderBy: [{ age: 'asc' }, { email: 'desc' }], select: { email: true } }
      const emails = (rows: readonly { email: string }[]): unknown => rows.map((row) => row.email)
      const all = await prisma.person.findMany(byAge)
      assert.deepEqual(emails(all), ['2@x', '1@x', '0@x', '3@x'])
      const page = { ...byAge, cursor: { email: '1@x' }, skip: 1, take: 1 }
      assert.deepEqual(emails(await prisma.person.findMany(page)), ['0@x'])
      const where = { OR: [{ age: { gt: 40 } }, { email: { startsWith: '0' } }] }
      assert.deepEqual(emails(await prisma.person.findMany({ ...byAge, where })), ['0@x', '3@x'])
      const ages = await prisma.person.findMany({ distinct: ['age'], orderBy: { age: 'asc' } })
      assert.deepEqual(
        ages.map(({ age }: { age: number }) => age),
        [20, 36, 50],
      )
      assert.equal((await prisma.person.findFirst({ where: { age: 50 } })).email, '3@x')
      assert.equal(await prisma.person.findUnique({ where: { email: '9@x' } }), null)
      const none = prisma.person.findUniqueOrThrow({ where: { email: '9@x' } })
      await assert.rejects(none, { code: 'P2025' })
    })

    test('finds by what refers to a row', async () => {
      for (const [email, tag] of [
        ['ada@x', 'cat'],
        ['bob@x', 'dog'],
        ['cleo@x', null],
      ]) {
        const tags = tag === null ? {} : { tags: { create: { label: tag } } }
        const pets = { create: { name: `of ${email}`, ...tags } }
        await prisma.person.create({ data: { email, pets } })
      }
      const tagged = { pets: { some: { tags: { some: { label: 'dog' } } } } }
      assert.equal((await prisma.person.findFirst({ where: tagged })).email, 'bob@x')
      assert.equal(await prisma.person.count({ where: { pets: { none: { name: 'x' } } } }), 3)
      assert.equal(await prisma.pet.count({ where: { owner: { email: 'ada@x' } } }), 1)
      const counted = await prisma.person.findMany({
        include: { _count: { select: { pets: true } } },
      })
      assert.deepEqual(
        counted.map(({ _count }: { _count: unknown }) => _count),
        [{ pets: 1 }, { pets: 1 }, { pets: 1 }],
      )
    })

    test('updates one, and many', async () => {
      await prisma.person.createMany({ data: [{ email: 'a@x' }, { email: 'b@x', age: 5 }] })
      const where = { email: 'a@x' }
      const one = await prisma.person.update({ where, data: { age: { increment: 3 }, name: 'A' } })
      assert.deepEqual([one.age, one.name], [3, 'A'])
      const data = { age: { multiply: 2 } }
      assert.deepEqual(await prisma.person.updateMany({ data }), { count: 2 })
      const many = await prisma.person.updateManyAndReturn({
        where: { age: 10 },
        data: { name: 'B' },
      })
      assert.deepEqual(
        many.map(({ email, name }: { email: string; name: string }) => [email, name]),
        [['b@x', 'B']],
      )
      const nobody = prisma.person.update({ where: { email: 'c@x' }, data })
      await assert.rejects(nobody, { code: 'P2025' })
    })

    test('upserts: creates the first time, updates the second', async () => {
      const asked = {
        where: { email: 'a@x' },
        create: { email: 'a@x', name: 'created' },
        update: { name: 'updated' },
      }
      const { id, name } = await prisma.person.upsert(asked)
      assert.equal(name, 'created')
      const second = await prisma.person.upsert(asked)
      assert.deepEqual([second.id, second.name], [id, 'updated'])
    })

    test('deletes one with what hangs on it, and many', async () => {
      const card = { create: { text: 'x' } }
      const pets = { create: { name: 'Tom' } }
      await prisma.person.create({ data: { email: 'a@x', card, pets } })
      const where = { email: 'a@x' }
      const deleted = await prisma.person.delete({ where, include: { card: true } })
      assert.equal(deleted.card.text, 'x')
      assert.equal(await prisma.card.count(), 0)
      assert.deepEqual((await prisma.pet.findFirst()).ownerId, null)
      assert.deepEqual(await prisma.pet.deleteMany({ where: { ownerId: null } }), { count: 1 })
      await assert.rejects(prisma.person.delete({ where }), { code: 'P2025' })
    })

    test('writes through relations', async () => {
      const pets = { create: [{ name: 'Tom' }, { name: 'Rex' }] }
      const { id } = await prisma.person.create({ data: { email: 'a@x', pets } })
      const [tom, rex] = await prisma.pet.findMany({ orderBy: { name: 'desc' } })
      const changed = await prisma.person.update({
        where: { id },
        data: {
          card: { upsert: { create: { text: 'new' }, update: { text: 'old' } } },
          pets: {
            disconnect: { id: rex.id },
            update: {
              where: { id: tom.id },
              data: {
                name: 'Tim',
                tags: { connectOrCreate: { where: { label: 'cat' }, create: { label: 'cat' } } },
              },
            },
            create: { name: 'Kit', tags: { connect: { label: 'cat' } } },
          },
        },
        include: { card: true, pets: { include: { tags: true }, orderBy: { id: 'asc' } } },
      })
      assert.equal(changed.card.text, 'new')
      const told = changed.pets.map(({ name, tags }: { name: string; tags: unknown }) => [
        name,
        tags,
      ])
      const cat = [{ label: 'cat' }]
      assert.deepEqual(told, [
        ['Tim', cat],
        ['Kit', cat],
      ])
      await prisma.pet.update({ where: { id: tom.id }, data: { tags: { set: [] } } })
      assert.equal(await prisma.pet.count({ where: { tags: { some: {} } } }), 1)
    })

    test('counts, sums and groups', async () => {
      const data = [1, 2, 3].map((age) => ({
        email: `${age}@x`,
        age,
        name: age > 1 ? 'old' : null,
      }))
      await prisma.person.createMany({ data })
      const all = await prisma.person.aggregate({
        _avg: { age: true },
        _sum: { age: true },
        _count: true,
      })
      assert.deepEqual(all, { _avg: { age: 2 }, _sum: { age: 6 }, _count: 3 })
      const groups = await prisma.person.groupBy({
        by: ['name'],
        _max: { age: true },
        orderBy: { name: 'asc' },
      })
      assert.deepEqual(groups, [
        { name: null, _max: { age: 1 } },
        { name: 'old', _max: { age: 3 } },
      ])
    })

    test('$transaction of an array is applied as a whole, or not at all', async () => {
      const create = (email: string): unknown => prisma.person.create({ data: { email } })
      const count = (): unknown => prisma.person.count()
      const [before, , after] = await prisma.$transaction([count(), create('a@x'), count()])
      assert.deepEqual([before, after], [0, 1])
      await assert.rejects(prisma.$transaction([create('b@x'), create('a@x')]), {
        code: place.uniqueCode,
      })
      assert.equal(await count(), 1)
    })

    test('$transaction of a function sees its own writes, which nobody else does yet', async () => {
      const seen = await prisma.$transaction(async (tx: PrismaClient) => {
        await tx.person.create({ data: { email: 'a@x', pets: { create: { name: 'Tom' } } } })
        const { rows } = await database.db.execute('SELECT count(*) AS n FROM Person')
        return [await tx.pet.count(), rows[0]?.['n']]
      })
      assert.deepEqual(seen, [1, 0])
      assert.equal(await prisma.person.count(), 1)
    })

    test('$transaction of a function that throws leaves nothing', async () => {
      const failed = prisma.$transaction(async (tx: PrismaClient) => {
        await tx.person.create({ data: { email: 'a@x' } })
        assert.equal(await tx.person.count(), 1)
        throw new Error('not that')
      })
      await assert.rejects(failed, { message: 'not that' })
      assert.equal(await prisma.person.count(), 0)
    })

    test('$transaction in another takes back its own part alone', async () => {
      await prisma.$transaction(async (tx: PrismaClient) => {
        await tx.person.create({ data: { email: 'outer@x' } })
        const inner = tx.$transaction(async (nested: PrismaClient) => {
          await nested.person.create({ data: { email: 'inner@x' } })
          throw new Error('inner')
        })
        await assert.rejects(inner, { message: 'inner' })
        await tx.person.create({ data: { email: 'later@x' } })
      })
      const rows = await prisma.person.findMany({ orderBy: { id: 'asc' } })
      assert.deepEqual(
        rows.map(({ email }: { email: string }) => email),
        ['outer@x', 'later@x'],
      )
    })

    test('$transaction is aborted where somebody wrote after it had read', async () => {
      await prisma.person.create({ data: { email: 'a@x' } })
      const lost = prisma.$transaction(async (tx: PrismaClient) => {
        const { id, age } = await tx.person.findFirst()
        await database.db.execute('UPDATE Person SET age = 10')
        await tx.person.update({ where: { id }, data: { age: age + 1 } })
      })
      await assert.rejects(lost, {
        code: 'P2039',
        message: /written to since .*Nothing of it was applied; begin it again/,
      })
      assert.equal((await prisma.person.findFirst()).age, 10)
    })

    test('$transaction of many at once loses no update', async () => {
      const { id } = await prisma.person.create({ data: { email: 'a@x' } })
      const add = async (tx: PrismaClient): Promise<void> => {
        const { age } = await tx.person.findUniqueOrThrow({ where: { id } })
        await tx.person.update({ where: { id }, data: { age: age + 1 } })
      }
      await Promise.all(Array.from({ length: 5 }, () => prisma.$transaction(add)))
      assert.equal((await prisma.person.findFirst()).age, 5)
    })

    test('tells which constraint was broken', async () => {
      await prisma.person.create({ data: { email: 'a@x' } })
      const twice = prisma.person.create({ data: { email: 'a@x' } })
      await assert.rejects(twice, {
        code: place.uniqueCode,
        message: /unique constraint failed.*email/i,
      })
      const astray = prisma.pet.create({ data: { name: 'x', ownerId: -1 } })
      await assert.rejects(astray, { code: place.foreignKeyCode, message: /foreign key/i })
      assert.equal(await prisma.person.count(), 1)
    })

    test('keeps every kind of value, and finds by it', async () => {
      const values = {
        big: 9_007_199_254_740_993n,
        moment: new Date('1960-02-03T04:05:06.789Z'),
        bytes: new Uint8Array([0, 1, 255]),
        price: '12.345',
        data: { a: [1, null, 'ü'], b: { c: true } },
        flag: true,
        ratio: 0.1,
      }
      const { id } = await prisma.kinds.create({ data: values })
      await prisma.kinds.create({ data: { big: -(2n ** 63n), flag: false } })
      const where = {
        big: values.big,
        moment: { lt: new Date(0) },
        bytes: values.bytes,
        price: { gt: 12 },
        flag: true,
        ratio: { lte: 0.1 },
      }
      const [found, ...others] = await prisma.kinds.findMany({ where })
      assert.equal(others.length, 0)
      assert.equal(String(found.price), values.price)
      assert.deepEqual({ ...found, price: values.price }, { id, ...values })
      const least = await prisma.kinds.findFirst({ where: { flag: false } })
      assert.deepEqual([least.big, least.bytes, least.data], [-(2n ** 63n), null, null])
      const updated = await prisma.kinds.update({ where: { id }, data: { big: { increment: 1n } } })
      assert.equal(updated.big, 9_007_199_254_740_994n)
    })

    test('runs SQL as it is', async () => {
      await prisma.person.createMany({
        data: [
          { email: 'a@x', age: 1 },
          { email: 'b@x', age: 2 },
        ],
      })
      const rows = await prisma.$queryRaw`SELECT email, age FROM Person WHERE age > ${1}`
      assert.deepEqual(rows, [{ email: 'b@x', age: 2 }])
      assert.equal(await prisma.$executeRaw`UPDATE Person SET age = ${9} WHERE age < ${9}`, 2)
      const [unsafe] = await prisma.$queryRawUnsafe(
        'SELECT count(*) AS n, ? AS text FROM Person',
        "it's",
      )
      assert.deepEqual(unsafe, { n: 2n, text: "it's" })
      await assert.rejects(prisma.$queryRaw`SELEC 1`, { code: 'P2010', message: /syntax error/ })
    })

    test("sees nothing of Colmena's own tables", async () => {
      const names =
        await prisma.$queryRaw`SELECT name FROM sqlite_master WHERE name LIKE '\\_c%' ESCAPE '\\'`
      assert.deepEqual(names, [])
      for (const sql of ['SELECT * FROM _colmena_state', 'DROP TABLE _colmena_migrations']) {
        const own = prisma.$executeRawUnsafe(sql)
        await assert.rejects(own, { code: 'P2010', message: /Colmena's own/ })
      }
      await database.assertUnharmed()
    })
  })
}
