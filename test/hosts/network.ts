import type { Runtime } from '../processes/node-handle.ts'

/** Where one host's processes live. */
export interface Place {
  readonly address: string
  /** Without brackets. */
  readonly address6: string
  readonly port: number
  /** Of the interface that multicast goes by. */
  readonly multicastAddress: string
  /** What starts a Node.js there. */
  readonly runtime: Runtime
}

/** What joins the hosts: one way of making it for each kind of machine. */
export interface Network {
  readonly places: readonly Place[]
  /** Drops what goes from the first to the second of each pair. */
  cut(pairs: readonly (readonly [from: number, to: number])[]): void
  heal(): void
  /** Takes a host off the wire or puts it back, so that its end is not heard. */
  plug(at: number, isPlugged: boolean): void
  close(): Promise<void>
}
