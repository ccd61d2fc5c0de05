/** One case again: `node test/fuzz/replay.ts <target> <seed> <path>`, as a failure says it. */
import { Fuzzer } from './fuzzer.ts'

const [target = '', seed = '', path] = process.argv.slice(2)
const fuzzer = new Fuzzer()
try {
  await fuzzer.run({ target, seed: Number(seed), runs: 1, path })
  process.stdout.write('it holds\n')
} catch (error) {
  process.stdout.write(`${(error as Error).message}\n`)
  process.exitCode = 1
} finally {
  await fuzzer.close()
}
