/** Prisma's client for a few models, made as its command makes it and docs/tools.md has it. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Project, readRecipe } from './project.ts'
import { type ServedDatabase, TOKEN } from './served.ts'

const SCHEMA = `
generator client {
  provider = "prisma-client"
  output   = "./generated"
}

datasource db {
  provider = "sqlite"
}

model Person {
  id      Int      @id @default(autoincrement())
  email   String   @unique
  name    String?
  age     Int      @default(0)
  created DateTime @default(now())
  changed DateTime @updatedAt
  pets    Pet[]
  card    Card?
}

model Card {
  id       Int    @id @default(autoincrement())
  text     String
  personId Int    @unique
  person   Person @relation(fields: [personId], references: [id], onDelete: Cascade)
}

model Pet {
  id      Int     @id @default(autoincrement())
  name    String
  ownerId Int?
  owner   Person? @relation(fields: [ownerId], references: [id])
  tags    Tag[]
}

model Tag {
  label String @id
  pets  Pet[]
}

model Kinds {
  id     String    @id @default(uuid())
  big    BigInt?
  moment DateTime?
  bytes  Bytes?
  price  Decimal?
  data   Json?
  flag   Boolean?
  ratio  Float?
}
`

/** As `prisma migrate diff --from-empty --script` writes it. */
export const CREATION = `
-- CreateTable
CREATE TABLE "Person" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "email" TEXT NOT NULL,
    "name" TEXT,
    "age" INTEGER NOT NULL DEFAULT 0,
    "created" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "changed" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "Card" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "text" TEXT NOT NULL,
    "personId" INTEGER NOT NULL,
    CONSTRAINT "Card_personId_fkey" FOREIGN KEY ("personId") REFERENCES "Person" ("id")
      ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "Pet" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "name" TEXT NOT NULL,
    "ownerId" INTEGER,
    CONSTRAINT "Pet_ownerId_fkey" FOREIGN KEY ("ownerId") REFERENCES "Person" ("id")
      ON DELETE SET NULL ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "Tag" (
    "label" TEXT NOT NULL PRIMARY KEY
);

-- CreateTable
CREATE TABLE "Kinds" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "big" BIGINT,
    "moment" DATETIME,
    "bytes" BLOB,
    "price" DECIMAL,
    "data" JSONB,
    "flag" BOOLEAN,
    "ratio" REAL
);

-- CreateTable
CREATE TABLE "_PetToTag" (
    "A" INTEGER NOT NULL,
    "B" TEXT NOT NULL,
    CONSTRAINT "_PetToTag_A_fkey" FOREIGN KEY ("A") REFERENCES "Pet" ("id")
      ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "_PetToTag_B_fkey" FOREIGN KEY ("B") REFERENCES "Tag" ("label")
      ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateIndex
CREATE UNIQUE INDEX "Person_email_key" ON "Person"("email");

-- CreateIndex
CREATE UNIQUE INDEX "Card_personId_key" ON "Card"("personId");

-- CreateIndex
CREATE UNIQUE INDEX "_PetToTag_AB_unique" ON "_PetToTag"("A", "B");

-- CreateIndex
CREATE INDEX "_PetToTag_B_index" ON "_PetToTag"("B");
`

// biome-ignore lint/suspicious/noExplicitAny: its types are made while the test runs
export type PrismaClient = any

/** A user's folder with the client in it. */
export async function generateClient(): Promise<Project> {
  const packages = ['@prisma/client', '@prisma/adapter-libsql']
  const project = new Project(Object.fromEntries(packages.map((each) => [each, each])))
  project.write('schema.prisma', SCHEMA)
  // What `prisma generate` does; the command itself would download an engine that it needs for
  // other things. Both packages are loaded by `require`: their ES modules lack file endings.
  const require = createRequire(import.meta.url)
  const { getConfig, getDMMF } = require('@prisma/internals')
  const { PrismaClientTsGenerator } = require('@prisma/client-generator-ts')
  const { generators, datasources } = await getConfig({ datamodel: SCHEMA })
  const [generator] = generators
  generator.output.value = join(project.path, 'generated')
  generator.isCustomOutput = true
  await new PrismaClientTsGenerator().generate({
    generator,
    datasources,
    datamodel: SCHEMA,
    dmmf: await getDMMF({ datamodel: SCHEMA }),
    schemaPath: join(project.path, 'schema.prisma'),
    otherGenerators: [],
    binaryPaths: {},
    version: '',
  })
  return project
}

/** What a recipe of docs/tools.md makes, on a database of its own. */
export async function openClient(
  project: Project,
  served: ServedDatabase,
  recipe: string,
): Promise<PrismaClient> {
  const { [recipe]: text = '' } = readRecipe('Prisma\n').files
  Object.assign(globalThis, { colmenaNode: served.node })
  project.write('node.js', 'export const node = globalThis.colmenaNode')
  project.write(recipe, served.adapt(text))
  process.env['COLMENA_TOKEN'] = TOKEN
  const { prisma } = await import(pathToFileURL(join(project.path, recipe)).href)
  return prisma
}
