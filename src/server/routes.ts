import type { Right } from './options.ts'

/** One request, as a route sees it: checked, and its sender known. */
export interface Call {
  readonly request: Request
  /** What it sends; to be read once. */
  readonly body: AsyncIterable<Uint8Array>
  /** Of a route that needs no right, 'read'. */
  readonly right: Right
  /** Whether its sender may read: to be asked where the route itself needs no right. */
  mayRead(): Promise<boolean>
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal
  /** A part of the path, such as that of `:database`. */
  param(name: string): string
  query(name: string): string | undefined
  /**
   * Ends a body that can't go on, when its head has left already: the connection breaks, so that
   * nobody takes what came for the whole.
   */
  breakOff(body: ReadableStreamDefaultController, error: unknown): void
}

/** What the server answers, and to whom. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  /** null: needs none. */
  readonly right: Right | null
  readonly answer: (call: Call) => Response | Promise<Response>
}
