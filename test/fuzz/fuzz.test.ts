/** Some cases for each target, always the same ones. The long form has others, and many more. */
import { after, test } from 'node:test'
import { Fuzzer } from './fuzzer.ts'
import { targets } from './targets.ts'

const SEED = 2026

const fuzzer = new Fuzzer()
after(() => fuzzer.close())

for (const { name, runs } of targets) {
  test(`${name}: broken bytes are refused, or mean what they say`, async () => {
    await fuzzer.run({ target: name, seed: SEED, runs: Math.ceil(runs / 4) })
  })
}
