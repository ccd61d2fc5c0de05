/** `colmena/kysely`: a dialect that runs Kysely on a database of a node. */
import type {
  CompiledQuery,
  DatabaseConnection,
  DatabaseIntrospector,
  Dialect,
  DialectAdapter,
  Driver,
  Kysely,
  QueryCompiler,
  QueryResult,
  TransactionSettings,
} from 'kysely'
import type { Database, InputValue, ResultSet, Transaction } from '../index.ts'
import { requirePeer } from './peer.ts'
import { plainRows } from './rows.ts'

type KyselyModule = typeof import('kysely')

interface Abortable {
  readonly signal?: AbortSignal | undefined
}

/**
 * Kysely's dialect for a database of a node.
 *
 * A transaction is one of Colmena's: its first statement begins it on the leader, `read only` runs
 * on this node's file, and any isolation level that is asked for is had, as all are serializable.
 * Migrations run in one, so nodes may all start them at once. `stream` reads all rows first.
 * `destroy` leaves the database open.
 *
 * @throws ColmenaError ERR_MISSING_PACKAGE where the application has no `kysely`.
 * @example
 * const kysely = new Kysely<Tables>({ dialect: new ColmenaDialect(node.database()) })
 */
export class ColmenaDialect implements Dialect {
  readonly #database: Database
  readonly #kysely: KyselyModule

  constructor(database: Database) {
    this.#database = database
    this.#kysely = requirePeer<KyselyModule>('kysely')
  }

  createDriver(): Driver {
    return new ColmenaDriver(this.#database)
  }

  createQueryCompiler(): QueryCompiler {
    return new this.#kysely.SqliteQueryCompiler()
  }

  createAdapter(): DialectAdapter {
    const { SqliteAdapter } = this.#kysely
    class ColmenaAdapter extends SqliteAdapter {
      override get supportsMultipleConnections(): boolean {
        return true
      }

      // What one node's migrations do, those of another see, as they wait for its transaction.
      override get supportsTransactionalDdl(): boolean {
        return true
      }
    }
    return new ColmenaAdapter()
  }

  // biome-ignore lint/suspicious/noExplicitAny: Kysely's own signature.
  createIntrospector(db: Kysely<any>): DatabaseIntrospector {
    return new this.#kysely.SqliteIntrospector(db)
  }
}

class ColmenaDriver implements Driver {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<ColmenaConnection> {
    return new ColmenaConnection(this.#database)
  }

  async beginTransaction(
    connection: ColmenaConnection,
    { accessMode }: TransactionSettings,
  ): Promise<void> {
    await connection.begin(accessMode === 'read only' ? 'read' : 'write')
  }

  async commitTransaction(connection: ColmenaConnection): Promise<void> {
    await connection.commit()
  }

  async rollbackTransaction(connection: ColmenaConnection): Promise<void> {
    connection.close()
  }

  async savepoint(connection: ColmenaConnection, name: string): Promise<void> {
    await connection.run(`SAVEPOINT ${quote(name)}`)
  }

  async rollbackToSavepoint(connection: ColmenaConnection, name: string): Promise<void> {
    await connection.run(`ROLLBACK TO ${quote(name)}`)
  }

  async releaseSavepoint(connection: ColmenaConnection, name: string): Promise<void> {
    await connection.run(`RELEASE ${quote(name)}`)
  }

  async releaseConnection(connection: ColmenaConnection): Promise<void> {
    connection.close()
  }

  async destroy(): Promise<void> {}
}

class ColmenaConnection implements DatabaseConnection {
  readonly #database: Database
  #transaction: Transaction | null = null

  constructor(database: Database) {
    this.#database = database
  }

  async begin(mode: 'read' | 'write'): Promise<void> {
    this.#transaction = await this.#database.transaction(mode)
  }

  async commit(): Promise<void> {
    await this.#transaction?.commit()
  }

  /** Takes back what was not committed. */
  close(): void {
    this.#transaction?.close()
    this.#transaction = null
  }

  run(sql: string, args: readonly InputValue[] = [], options: Abortable = {}): Promise<ResultSet> {
    const { signal } = options
    if (this.#transaction !== null) return this.#transaction.execute(sql, args)
    return this.#database.execute(sql, args, { signal })
  }

  async executeQuery<R>(
    { sql, parameters }: CompiledQuery,
    options?: Abortable | undefined,
  ): Promise<QueryResult<R>> {
    const result = await this.run(sql, parameters as readonly InputValue[], options)
    const rows = plainRows(result) as R[]
    const { rowsAffected, lastInsertRowid, columns } = result
    // A read has columns and has affected nothing: of it there is no such number.
    if (columns.length > 0 && rowsAffected === 0) return { rows }
    const numAffectedRows = BigInt(rowsAffected)
    if (lastInsertRowid === undefined) return { rows, numAffectedRows }
    return { rows, numAffectedRows, insertId: lastInsertRowid }
  }

  async *streamQuery<R>(
    query: CompiledQuery,
    chunkSize: number,
    options?: Abortable | undefined,
  ): AsyncIterableIterator<QueryResult<R>> {
    const { rows } = await this.executeQuery<R>(query, options)
    for (let at = 0; at < rows.length; at += chunkSize) {
      yield { rows: rows.slice(at, at + chunkSize) }
    }
  }
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
