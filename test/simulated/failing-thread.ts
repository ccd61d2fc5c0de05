/** For tests of many lives: of seeds that end in no way a life should. */
import { Life } from './life.ts'
import { liveEach } from './many.ts'

await liveEach((options) => {
  const { seed } = options
  if (seed === 3) while (true);
  if (seed === 4) throw new Error('no life at all')
  if (seed === 5) void Promise.reject(new Error('too late'))
  if (seed === 6) process.exit(7)
  return new Life(options).run()
})
