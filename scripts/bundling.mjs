/** What the package and the tests have in common where they put code into few files, by esbuild. */

/** What threads and processes of nodes begin with, below `src/`, without their ending. */
export const ENTRIES = [
  'database/hash-thread',
  'database/reader-process',
  'database/storage-thread',
  'demo/node-process',
  'engine/engine-thread',
  'testing/links-thread',
]

/**
 * Modules for the oldest Node.js that will do; what is common to several stands in one file. Names
 * stay, and lines are short: where an error happened is to be told by its stack.
 */
export const BUNDLING = {
  minifySyntax: true,
  minifyWhitespace: true,
  lineLimit: 120,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  packages: 'external',
  logLevel: 'warning',
}
