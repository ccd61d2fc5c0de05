import { runColdStarts } from './cold-starts.ts'

console.log(
  await runColdStarts({
    starts: 60,
    ways: ['lan'],
    seed: 5,
    progress: (l) => console.log(Date.now(), l),
  }),
)
process.exit(0)
