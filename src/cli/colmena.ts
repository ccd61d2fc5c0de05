#!/usr/bin/env node
// Loaded later, so that a Node.js that is too old gets its one sentence, and no stack trace.
import('./cli.ts')
  .then(({ main }) => main(process.argv))
  .then(
    (exitCode) => {
      process.exitCode = exitCode
    },
    (error) => {
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
      process.exitCode = 1
    },
  )
