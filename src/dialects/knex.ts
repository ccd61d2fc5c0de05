/** `colmena/knex`: what runs Knex on a database of a node. */
import type { Knex } from 'knex'
import type { Database, InputValue } from '../index.ts'
import { KnexConnection } from './knex-connection.ts'
import { requirePeer } from './peer.ts'
import type { PlainRow } from './rows.ts'

/** What Knex hands over to be run, and takes the answer from. */
interface Query {
  readonly sql: string
  /** What a row lacks that others have is undefined, and NULL to the drivers of SQLite. */
  readonly bindings?: readonly (InputValue | undefined)[] | undefined
  response?: readonly PlainRow[]
  context?: { readonly lastID: number | bigint | undefined; readonly changes: number }
}

type KnexClient = typeof Knex.Client

/**
 * The client of Knex for a database of a node, for Knex's option `client`; `connection` is not
 * needed, and `useNullAsDefault` is true if nothing else is said.
 *
 * Connections of the pool are handles and cost nothing. A transaction is one of Colmena's: its
 * first statement begins it on the leader. Where Knex makes a table anew, it does so by
 * `db.migrate`. `destroy` leaves the database open.
 *
 * @throws ColmenaError ERR_MISSING_PACKAGE where the application has no `knex`.
 * @example
 * const knex = Knex({ client: knexClient(node.database()) })
 */
export function knexClient(database: Database): KnexClient {
  const Sqlite = requirePeer<KnexClient>('knex', 'knex/lib/dialects/sqlite3/index.js')

  return class ColmenaClient extends Sqlite {
    constructor(config: Knex.Config) {
      // Without a connection Knex makes no pool, and of SQLite's it wants the name of a file.
      const connection = { filename: database.name }
      super({ useNullAsDefault: true, ...config, connection })
    }

    _driver(): Database {
      return database
    }

    override async acquireRawConnection(): Promise<KnexConnection> {
      return new KnexConnection(database)
    }

    override async destroyRawConnection(connection: KnexConnection): Promise<void> {
      connection.close()
    }

    async _query(connection: KnexConnection, query: Query): Promise<Query> {
      const args = (query.bindings ?? []).map((value) => value ?? null)
      const { rows, rowsAffected, lastInsertRowid } = await connection.run(query.sql, args)
      query.response = rows
      query.context = { lastID: toNumber(lastInsertRowid), changes: rowsAffected }
      return query
    }

    override poolDefaults(): ReturnType<InstanceType<KnexClient>['poolDefaults']> {
      return { min: 0, max: CONNECTIONS_MAX, propagateCreateError: true }
    }
  }
}

/** So many calls of one Knex are under way at once. */
const CONNECTIONS_MAX = 64

function toNumber(rowid: bigint | undefined): number | bigint | undefined {
  if (rowid === undefined || rowid > BigInt(Number.MAX_SAFE_INTEGER)) return rowid
  return Number(rowid)
}
