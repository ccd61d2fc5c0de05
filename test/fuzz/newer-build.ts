/** Makes a process one of a build that has format 2: it reads all that this one does, and more. */
import { registerHooks } from 'node:module'

const BUILD = new URL('../../src/base/build.ts', import.meta.url).href

registerHooks({
  load: (url, context, next) =>
    url === BUILD
      ? { format: 'module', source: 'export const NEWEST_FORMAT = 2', shortCircuit: true }
      : next(url, context),
})
