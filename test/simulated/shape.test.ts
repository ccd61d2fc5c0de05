/** Shapes that somebody types: what a seed may draw, and little more. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Life } from './life.ts'
import { SeededRandom } from './random.ts'
import { CALM_SHAPE, drawShape, LEASED_SHAPE, POWER_SHAPE, parseShape } from './shape.ts'

const SETTINGS = { ...CALM_SHAPE.settings[0], electionTimeoutMs: 600 }
const settings = (some: object): string => JSON.stringify({ leases: null, settings: [some] })

const REFUSED: readonly (readonly [text: string, message: RegExp])[] = [
  ['', /^a shape is an object of JSON, not ""$/],
  ['{"nodes":3', /^a shape is an object of JSON, not "\{\\"nodes\\":3"$/],
  ['[]', /an object of JSON, not "\[\]"$/],
  ['null', /an object of JSON, not "null"$/],
  ['3', /an object of JSON, not "3"$/],
  ['{"node":3}', /^a shape has no "node", only nodes, latencyMsMax, .*, settings$/],
  ['{"toString":1}', /has no "toString"/],
  ['{"__proto__":{}}', /has no "__proto__"/],
  ['{"nodes":1}', /^nodes is a whole number from 2 to 5, not 1$/],
  ['{"nodes":6}', /^nodes is .*, not 6$/],
  ['{"nodes":2.5}', /^nodes is .*, not 2\.5$/],
  ['{"nodes":"3"}', /^nodes is .*, not "3"$/],
  ['{"latencyMsMax":0.1}', /^latencyMsMax is a number from 0\.2 to 100, not 0\.1$/],
  ['{"latencyMsMax":null}', /^latencyMsMax is .*, not null$/],
  ['{"resetChance":1}', /^resetChance is a number from 0 to 0\.02, not 1$/],
  ['{"impatience":-1}', /^impatience is a number from 0 to 1, not -1$/],
  ['{"paceMs":0}', /^paceMs is a whole number from 50 to 60000, not 0$/],
  ['{"paceMs":1e9}', /^paceMs is .*, not 1000000000$/],
  ['{"hasDatagrams":1}', /^hasDatagrams is true or false, not 1$/],
  ['{"hasLargeWrites":"no"}', /^hasLargeWrites is true or false, not "no"$/],
  ['{"hasTrouble":null}', /^hasTrouble is true or false, not null$/],
  ['{"hasRelaxed":[]}', /^hasRelaxed is true or false, not \[\]$/],
  ['{"strikes":"crash"}', /^strikes is a list of crash, crash of the leader, .*, not "crash"$/],
  ['{"strikes":["crash","crush"]}', /^strikes is a list of crash, .*, not \["crash","crush"\]$/],
  ['{"leases":"unkept"}', /^leases is null or "kept", not "unkept"$/],
  ['{"leases":false}', /^leases is null or "kept", not false$/],
  ['{"settings":[]}', /^settings is a list of .*, not \[\]$/],
  ['{"settings":{"0":{}}}', /^settings is a list of .*, not \{"0":\{\}\}$/],
  ['{"settings":[3]}', /^settings\[0\] is an object, not 3$/],
  ['{"settings":[[]]}', /^settings\[0\] is an object, not \[\]$/],
  [settings({ ...SETTINGS, toString: 1 }), /^settings\[0\] has no "toString", only heartbeatMs/],
  [settings({ ...SETTINGS, heartbeatMs: undefined }), /^settings\[0\] lacks heartbeatMs$/],
  [settings({ ...SETTINGS, heartbeatMs: 0 }), /^settings\[0\]\.heartbeatMs is .* to 200, not 0$/],
  [settings({ ...SETTINGS, segmentBytes: 1 }), /^settings\[0\]\.segmentBytes is .*, not 1$/],
  [settings({ ...SETTINGS, durability: 'none' }), /^settings\[0\]\.durability is .*, not "none"$/],
  [
    JSON.stringify({ settings: [SETTINGS] }),
    /^settings\[0\]\.electionTimeoutMs is 1000 where leases may be kept, not 600$/,
  ],
]

/** As bad as it may be typed, and as good. */
const EXTREMES = [
  {
    ...{ latencyMsMax: 100, resetChance: 0.02, impatience: 1, paceMs: 50 },
    ...{ hasDatagrams: true, hasTrouble: true, hasLargeWrites: true, hasRelaxed: true },
  },
  { latencyMsMax: 0.2, resetChance: 0, impatience: 0, paceMs: 60_000 },
  {
    leases: null,
    settings: [
      { ...SETTINGS, heartbeatMs: 200, segmentBytes: 1024 * 1024, durability: 'relaxed' },
      { ...SETTINGS, heartbeatMs: 50, electionTimeoutMs: 2_000, logRetainBytes: 1024 * 1024 },
    ],
  },
]

describe('a shape that somebody types', () => {
  it('may be whatever a seed draws', () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const shape = drawShape(new SeededRandom(seed), undefined)
      // Without leases its nodes may have election timeouts that leases don't allow.
      assert.deepEqual(parseShape(JSON.stringify(shape)), shape)
    }
    for (const shape of [CALM_SHAPE, POWER_SHAPE, LEASED_SHAPE, {}]) {
      assert.deepEqual(parseShape(JSON.stringify(shape)), shape)
    }
  })

  for (const [text, message] of REFUSED) {
    it(`is not ${text || 'nothing'}`, () => {
      assert.throws(() => parseShape(text), { message })
    })
  }

  it('breaks nothing at its bounds', () => {
    for (const shape of EXTREMES.map((one) => parseShape(JSON.stringify(one)))) {
      const { violations } = new Life({ seed: 1, faultMs: 1_000, shape }).run()
      assert.deepEqual(violations, [], JSON.stringify(shape))
    }
  })
})
