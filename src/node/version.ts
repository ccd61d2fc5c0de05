import { createRequire } from 'node:module'

let version: string | undefined

/** Of colmena, as its package says. */
export function packageVersion(): string {
  version ??= readVersion()
  return version
}

function readVersion(): string {
  // Sources and build both lie two folders below the package's own.
  const require = createRequire(import.meta.url)
  return (require('../../package.json') as { version: string }).version
}
