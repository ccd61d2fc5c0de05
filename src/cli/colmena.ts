#!/usr/bin/env node
import { main } from './cli.ts'

main(process.argv).then((exitCode) => {
  process.exitCode = exitCode
})
