import { once } from 'node:events'
import { createServer } from 'node:net'
import { findFreePorts } from '../processes/free-port.ts'
import type { Network, Place } from './network.ts'

const LOCALHOST = '127.0.0.1'

/** Hosts that are loopback addresses, each its own where the machine has more than one. */
export class Loopback implements Network {
  readonly places: readonly Place[]

  private constructor(places: readonly Place[]) {
    this.places = places
  }

  static async open(count: number): Promise<Loopback> {
    const ports = await findFreePorts(count)
    const places = ports.map(async (port, at) => {
      const own = `127.0.0.${at + 2}`
      return {
        address: (await isThere(own)) ? own : LOCALHOST,
        address6: '::1',
        port,
        multicastAddress: LOCALHOST,
        runtime: { path: process.execPath, args: [] },
      }
    })
    return new Loopback(await Promise.all(places))
  }

  cut(): never {
    throw new Error('loopback can not be cut: see `hosts.missing` before')
  }

  heal(): void {}

  plug(): void {}

  async close(): Promise<void> {}
}

/** Linux has all of 127.0.0.0/8, others what was given to them. */
async function isThere(address: string): Promise<boolean> {
  const server = createServer()
  try {
    await once(server.listen(0, address), 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}
