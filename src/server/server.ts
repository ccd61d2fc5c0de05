/**
 * A node over HTTP: libsql's remote protocol, health, metrics, events, members, exports and the
 * cluster page; as a server of its own, or as a handler in the application's. Promises that every
 * request gets an answer that says what became of it, and that no client can stop the node, its
 * loop or another client: bodies, queues, connections and waits are bounded. What a statement
 * means is the node's business, and who a person is the application's.
 */
export { createServer, type Server } from './create-server.ts'
export { createHandler, type Handler } from './handler.ts'
export type {
  CommonOptions,
  HandlerOptions,
  Right,
  ServerOptions,
  TlsOptions,
} from './options.ts'
