import type { Backup } from '../backup/backup.ts'
import type { Logger } from '../index.ts'
import type { Jobs } from '../jobs/jobs.ts'

/** What a client may do; each right holds the ones before it. */
export type Right = 'read' | 'write' | 'admin'

/** What server and handler have in common. `docs/server.md` says what each option costs. */
export interface CommonOptions {
  /**
   * Origins (`https://app.example`) whose pages may call this one, beside the page's own: needed
   * where a proxy hands on another `Host` than the browser sees.
   *
   * @defaultValue none
   */
  readonly origins?: readonly string[] | undefined
  /**
   * The largest body of one request, in bytes.
   *
   * @defaultValue 8388608 (8 MiB)
   */
  readonly bodyBytesMax?: number | undefined
  /**
   * The bodies of all requests that are under way, in bytes; beyond it clients are told to come
   * back.
   *
   * @defaultValue 134217728 (128 MiB)
   */
  readonly bodiesBytesMax?: number | undefined
  /**
   * Clients that follow `/events` at once.
   *
   * @defaultValue 2500
   */
  readonly eventClientsMax?: number | undefined
  /**
   * Events that wait for one client, in bytes; a client that is further behind is cut off.
   *
   * @defaultValue 262144 (256 KiB)
   */
  readonly eventQueueBytesMax?: number | undefined
  /**
   * How often a client of `/events` hears something, in milliseconds, even if nothing happens.
   *
   * @defaultValue 15000
   */
  readonly eventHeartbeatMs?: number | undefined
  /**
   * How long a client may take nothing of an answer that is streamed (`/export`, `/v3/cursor`), in
   * milliseconds; to a server of its own also how long a connection may carry nothing at all, be it
   * between two requests or while a statement runs.
   *
   * @defaultValue 60000
   */
  readonly idleTimeoutMs?: number | undefined
  /**
   * The jobs of the cluster, as `createJobs(node)` gave them: they are then shown, changed and
   * counted here. The server does not close them.
   *
   * @defaultValue none
   */
  readonly jobs?: Jobs | undefined
  /**
   * The backup of this node, as `startBackup(node, …)` gave it: it is then shown, counted, and had
   * to ship and to verify here. The server does not close it.
   *
   * @defaultValue none
   */
  readonly backup?: Backup | undefined
  /** Gets what went wrong here and was nobody's request; nothing is ever printed. */
  readonly logger?: Logger | undefined
}

/** What `createHandler` takes. */
export interface HandlerOptions extends CommonOptions {
  /**
   * The path that everything is below, as the browser sees it, such as `/colmena`.
   *
   * @defaultValue '' (the root)
   */
  readonly basePath?: string | undefined
  /**
   * What the sender of this request may do, null for nothing. It is asked before anything else is
   * done; the application's own login decides.
   */
  readonly authorize: (request: Request) => Right | null | Promise<Right | null>
}

/** What `createServer` takes. */
export interface ServerOptions extends CommonOptions {
  /**
   * The address to listen on. Beyond loopback it needs `tokens`.
   *
   * @defaultValue '127.0.0.1'
   */
  readonly host?: string | undefined
  /**
   * The port to listen on; 0 lets the system choose.
   *
   * @defaultValue 8080
   */
  readonly port?: number | undefined
  /**
   * Who may come in, as `{ '<token>': 'read' }`; a token has at least 16 bytes. Without it whoever
   * reaches the port may do everything, so it then listens on loopback only.
   */
  readonly tokens?: Readonly<Record<string, Right>> | undefined
  /** Key and certificate, in PEM: the server then speaks HTTPS. */
  readonly tls?: TlsOptions | undefined
  /**
   * How long a client may take to send the head of a request, in milliseconds.
   *
   * @defaultValue 10000
   */
  readonly headersTimeoutMs?: number | undefined
  /**
   * How long a client may take to send a whole request, in milliseconds.
   *
   * @defaultValue 60000
   */
  readonly requestTimeoutMs?: number | undefined
  /**
   * Connections at once; more are closed as they come.
   *
   * @defaultValue 5000
   */
  readonly connectionsMax?: number | undefined
  /**
   * What `close` gives to requests that are under way, in milliseconds.
   *
   * @defaultValue 5000
   */
  readonly closeTimeoutMs?: number | undefined
}

export interface TlsOptions {
  readonly key: string | Uint8Array
  readonly cert: string | Uint8Array
}

/** Every option with its default; undefined where there is no fixed one. */
export const SERVER_OPTION_DEFAULTS: Required<{
  readonly [Key in keyof ServerOptions]: ServerOptions[Key] | undefined
}> = Object.freeze({
  host: '127.0.0.1',
  port: 8080,
  tokens: undefined,
  tls: undefined,
  origins: undefined,
  bodyBytesMax: 8_388_608,
  bodiesBytesMax: 134_217_728,
  eventClientsMax: 2_500,
  eventQueueBytesMax: 262_144,
  eventHeartbeatMs: 15_000,
  idleTimeoutMs: 60_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  connectionsMax: 5_000,
  closeTimeoutMs: 5_000,
  jobs: undefined,
  backup: undefined,
  logger: undefined,
})
