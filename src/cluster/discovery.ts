import { ColmenaError } from '../index.ts'

/** More are not asked for a cluster: an announcement costs a stranger nothing. */
export const ADDRESSES_MAX = 256

/**
 * How nodes of a cluster find one another before they know each other: on a LAN, in a DNS, at a
 * host. What it finds are rumours: only the port's own handshake tells who really is there.
 */
export interface Discovery {
  /** Lets others find this node at `host:port`, until `close` or another address. */
  announce(address: string): Promise<void>
  /**
   * Where nodes of this cluster may be; the own place may be among them. That there is nobody is no
   * failure: whoever is told so may begin a cluster.
   *
   * @throws ColmenaError ERR_DISCOVERY where nobody could be asked; ERR_ABORTED, ERR_CLOSED
   */
  find(options: FindOptions): Promise<Found>
  /** Takes back what was announced. Every caller gets the same promise. */
  close(): Promise<void>
}

export interface FindOptions {
  readonly signal: AbortSignal
}

export interface Found {
  /** Addresses `host:port`, each once, at most {@link ADDRESSES_MAX}. */
  readonly addresses: readonly string[]
  /** Whether nobody else is there: not so where a part could not be asked, or had no room. */
  readonly isAll: boolean
}

export function discoveryFailed(message: string, cause?: unknown): ColmenaError {
  return new ColmenaError('ERR_DISCOVERY', message, { retryable: true, cause })
}

export function discoveryClosed(): ColmenaError {
  return new ColmenaError('ERR_CLOSED', 'this discovery is closed')
}

/** @throws ColmenaError ERR_ABORTED */
export function checkNotAborted(signal: AbortSignal): void {
  if (!signal.aborted) return
  throw new ColmenaError('ERR_ABORTED', 'nobody waits for the addresses any more', {
    cause: signal.reason,
  })
}

/** `host:port`, with an IPv6 host in brackets. */
export function toAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
