import { Life } from './life.ts'
import { liveEach } from './many.ts'

await liveEach((options) => new Life(options).run())
