/** Any sequence of operations, reopenings, crashes and kills against the model. */
import { test } from 'node:test'
import fc from 'fast-check'
import { drawOperation } from './model.ts'
import { LogRig } from './rig.ts'

const step = fc.oneof(
  { weight: 60, arbitrary: fc.constant('operation' as const) },
  { weight: 20, arbitrary: fc.constant('progress' as const) },
  { weight: 4, arbitrary: fc.constant('check' as const) },
  { weight: 2, arbitrary: fc.constant('close' as const) },
  { weight: 2, arbitrary: fc.constant('crash' as const) },
  { weight: 2, arbitrary: fc.constant('kill' as const) },
)

test('the log is what the model says, whatever happens to it', () => {
  const property = fc.property(
    fc.nat(),
    fc.array(step, { minLength: 10, maxLength: 120, size: 'max' }),
    (seed, steps) => {
      const rig = new LogRig(seed)
      rig.create()
      for (const what of steps) take(rig, what)
      rig.disk.settle()
      rig.check()
    },
  )
  fc.assert(property, { numRuns: 150, seed: 20_261_123 })
})

function take(rig: LogRig, what: 'operation' | 'progress' | 'check' | 'close' | 'crash' | 'kill') {
  switch (what) {
    case 'operation':
      rig.submit(drawOperation(rig.random, rig.state))
      break
    case 'progress':
      for (let i = rig.random.below(10); i > 0; i -= 1) rig.disk.step()
      break
    case 'check':
      rig.check()
      break
    case 'close':
      rig.opened.close((error) => {
        if (error !== null) throw error
      })
      rig.disk.settle()
      // A clean stop loses nothing, promised or not.
      rig.promised = rig.states.length - 1
      rig.reopen()
      break
    case 'crash':
      rig.disk.crash()
      rig.reopen()
      break
    case 'kill':
      rig.disk.kill()
      rig.reopen()
      break
  }
}
