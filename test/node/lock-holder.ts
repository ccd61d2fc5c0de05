/** A process that holds the data directory it is given until it is killed. */
import { checkOpenOptions } from '../../src/node/config.ts'
import { openDataDir } from '../../src/node/data-dir.ts'

const held = openDataDir(checkOpenOptions({ dataDir: process.argv[2] }))
process.stdout.write('held\n')
// What nobody refers to is collected, and its lock with it.
setInterval(() => held, 60_000)
