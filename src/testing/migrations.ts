import type { ColmenaNode, WaitOptions } from '../index.ts'
import type { MigrationsByName } from './options.ts'

/** @throws ColmenaError as `migrate` */
export async function runMigrations(
  node: ColmenaNode,
  migrations: MigrationsByName,
  wait: WaitOptions,
): Promise<void> {
  for (const [database, list] of migrations) await node.migrate(list, { database, ...wait })
}
