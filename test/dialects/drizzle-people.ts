/** The database that Drizzle's tests begin with; their tables are their own. */
import type { Database } from '../../src/index.ts'
import { type Databases, openDatabases } from './fixture.ts'

export const databases: Databases = openDatabases()

/** As `drizzle-kit generate` writes it. */
export const CREATION: readonly string[] = [
  `CREATE TABLE \`person\` (
    \`id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
    \`name\` text NOT NULL,
    \`age\` integer,
    \`born\` text DEFAULT CURRENT_TIMESTAMP NOT NULL
  );`,
  'CREATE UNIQUE INDEX `person_name` ON `person` (`name`);',
  `CREATE TABLE \`pet\` (
    \`id\` integer PRIMARY KEY NOT NULL,
    \`owner_id\` integer NOT NULL,
    \`name\` text NOT NULL,
    \`kind\` text NOT NULL,
    FOREIGN KEY (\`owner_id\`) REFERENCES \`person\`(\`id\`) ON UPDATE no action ON DELETE cascade
  );`,
  'CREATE INDEX `pet_owner` ON `pet` (`owner_id`);',
]

/** A few people and their pets. */
export async function createPeople(): Promise<Database> {
  const db = databases.fresh()
  await db.batch([
    ...CREATION,
    "INSERT INTO person (name, age) VALUES ('Ada', 36), ('Bob', 20), ('Cleo', NULL)",
    `INSERT INTO pet (owner_id, name, kind)
      VALUES (1, 'Tom', 'cat'), (1, 'Rex', 'dog'), (2, 'Kit', 'cat')`,
  ])
  return db
}
