import { createServer } from 'node:net'
import { ColmenaError } from '../index.ts'

/** Below the ports that systems hand out by themselves: none is taken while its node is down. */
const FIRST = 20_000
const LAST = 32_000
const TRIES_MAX = 200

interface Closable {
  close(): void
}

/** The second port of a pair. */
export function neighbourOf(port: number): number {
  return port + 1
}

/**
 * Opens something on a port whose neighbour is free too, and says which. The neighbour stays the
 * caller's for as long as what was opened is open, also while nobody listens on it: who looks for a
 * pair has to open its first port, so no other demo comes upon the second.
 */
export async function openPair<T extends Closable>(
  open: (port: number) => Promise<T>,
): Promise<{ readonly opened: T; readonly port: number }> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const port = FIRST + 2 * Math.floor((Math.random() * (LAST - FIRST)) / 2)
    const opened = await unlessInUse(open(port))
    if (opened === null) continue
    if (await isFree(neighbourOf(port))) return { opened, port }
    opened.close()
  }
  throw new ColmenaError(
    'ERR_ADDRESS_IN_USE',
    `no two neighbouring ports of 127.0.0.1 were free in ${TRIES_MAX} tries from ${FIRST} to ` +
      `${LAST}: end what listens there`,
  )
}

async function unlessInUse<T>(opening: Promise<T>): Promise<T | null> {
  try {
    return await opening
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return null
    throw error
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
