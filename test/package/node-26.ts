import { fileURLToPath } from 'node:url'

/** Node.js 26, which comes with `npm ci` where {@link hasNode26}. */
export const node26: string = fileURLToPath(
  new URL('node-26/node_modules/node-26/bin/node', import.meta.url),
)
export const hasNode26: boolean = process.platform === 'linux' && process.arch === 'x64'
