import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { suite, test } from 'node:test'
import { ColmenaError, type ErrorCode } from '../../src/base/errors.ts'
import { checkOpenOptions } from '../../src/node/config.ts'
import { OPTION_DEFAULTS } from '../../src/node/options.ts'

const SECRET = 'sixteen bytes ok'

function refused(options: unknown, pattern: RegExp, code: ErrorCode = 'ERR_INVALID_OPTION'): void {
  assert.throws(
    () => checkOpenOptions(options),
    (error: unknown) => {
      assert.ok(error instanceof ColmenaError)
      assert.equal(error.code, code)
      assert.match(error.message, pattern)
      return true
    },
  )
}

suite('options of open', () => {
  test('a data directory alone is a single node without network', () => {
    const config = checkOpenOptions({ dataDir: 'somewhere' })
    assert.deepEqual(config, {
      nodeId: undefined,
      dataDir: resolve('somewhere'),
      bind: null,
      advertise: '',
      genesis: 'bootstrap',
      joinAddresses: [],
      joinSource: undefined,
      expectedVoters: undefined,
      discoveryWindowMs: 2_000,
      ifRemoved: 'fail',
      security: { kind: 'plaintext' },
      restore: undefined,
      joinAs: 'voter',
      consistency: 'weak',
      strongReads: 'majority',
      durability: 'full',
      acceptLoss: undefined,
      nonDeterminism: 'freeze',
      heartbeatMs: 100,
      electionTimeoutMs: 1000,
      requestTimeoutMs: 10_000,
      statementTimeoutMs: 10_000,
      transactionIdleMs: 5_000,
      transactionMs: 8_000,
      maxClockSkewMs: 5_000,
      slowMs: 1_000,
      changesBytesMax: 67_108_864,
      joinTimeoutMs: 60_000,
      logRetainBytes: 64 * 1024 * 1024,
      logSegmentBytes: 16 * 1024 * 1024,
      snapshotBytesPerSecond: 40 * 1024 * 1024,
      extensions: [],
      logger: {},
      signal: undefined,
    })
    assert.ok(Object.isFrozen(config))
  })

  test('undefined is as good as missing', () => {
    const options = Object.fromEntries(Object.keys(OPTION_DEFAULTS).map((key) => [key, undefined]))
    assert.equal(checkOpenOptions({ ...options, dataDir: '.' }).heartbeatMs, 100)
  })

  test('no options, or no data directory', () => {
    refused(undefined, /an object of options/)
    refused([], /an object of options/)
    refused({}, /dataDir is missing.*path of a directory/)
    refused({ dataDir: '' }, /dataDir is ''/)
    refused({ dataDir: 7 }, /dataDir is 7/)
  })

  test('an unknown key names the nearest', () => {
    refused({ datadir: '.' }, /unknown option 'datadir'; is 'dataDir' meant\?/)
    refused({ dataDir: '.', heartBeat: 1 }, /is 'heartbeatMs' meant\?/)
    refused({ dataDir: '.', electionTimeout: 1 }, /is 'electionTimeoutMs' meant\?/)
    refused({ dataDir: '.', zzzzzzzzzzzz: 1 }, /known are nodeId, dataDir/)
  })

  test('values of the wrong kind', () => {
    refused({ dataDir: '.', nodeId: 'a b' }, /nodeId is 'a b'/)
    refused({ dataDir: '.', nodeId: '' }, /nodeId/)
    refused({ dataDir: '.', heartbeatMs: '100' }, /heartbeatMs is '100'; .* whole number from 1/)
    refused({ dataDir: '.', requestTimeoutMs: 0 }, /requestTimeoutMs is 0/)
    refused({ dataDir: '.', requestTimeoutMs: 2 ** 31 }, /requestTimeoutMs/)
    refused({ dataDir: '.', statementTimeoutMs: '10s' as never }, /statementTimeoutMs is '10s'/)
    refused({ dataDir: '.', slowMs: 0 }, /slowMs is 0/)
    refused({ dataDir: '.', logRetainBytes: 0.5 }, /logRetainBytes is 0.5/)
    refused({ dataDir: '.', snapshotBytesPerSecond: 40 }, /snapshotBytesPerSecond .*1048576/)
    refused(
      { dataDir: '.', joinAs: 'voters' },
      /joinAs .*'voter', 'learner' \(is 'voter' meant\?\)/,
    )
    refused({ dataDir: '.', consistency: 'storng' }, /is 'strong' meant\?/)
    refused({ dataDir: '.', strongReads: 'leases' }, /strongReads .*'lease' \(is 'lease' meant/)
    refused({ dataDir: '.', bootstrap: 'yes' }, /bootstrap is 'yes'; it must be true or false/)
    refused({ dataDir: '.', insecure: 1 }, /insecure is 1/)
    refused({ dataDir: '.', logger: console.log }, /logger must be an object/)
    refused({ dataDir: '.', logger: { warn: 'x' } }, /logger.warn is 'x'/)
    refused({ dataDir: '.', signal: {} }, /signal is object/)
    refused({ dataDir: '.', join: [], bind: '127.0.0.1:1' }, /join is object.*at least one/)
  })

  test('times that contradict each other', () => {
    refused({ dataDir: '.', heartbeatMs: 400 }, /heartbeatMs 400 is too long .* 1000/)
    const options = { dataDir: '.', heartbeatMs: 400, electionTimeoutMs: 1200 }
    assert.equal(checkOpenOptions(options).heartbeatMs, 400)
  })

  test('addresses', () => {
    for (const bind of ['localhost', '127.0.0.1', ':::1', '127.0.0.1:70000', 9000, 'a b:1']) {
      refused({ dataDir: '.', bind }, /bind is .*no address: write 'host:port'/)
    }
    refused({ dataDir: '.', bind: '127.0.0.1:1', join: 'nonsense' }, /join is "nonsense"/)
    const { bind, advertise, genesis } = checkOpenOptions({ dataDir: '.', bind: '[::1]:9000' })
    assert.deepEqual(bind, { host: '::1', port: 9000 })
    assert.equal(advertise, '[::1]:9000')
    assert.equal(genesis, undefined)
  })

  test('every interface can not be advertised', () => {
    for (const bind of ['0.0.0.0:9000', '[::]:9000', ':9000']) {
      refused({ dataDir: '.', bind, secret: SECRET }, /every interface.*advertise: 'host:port'/)
    }
    const named = { dataDir: '.', bind: '0.0.0.0:9000', advertise: '10.0.0.7:9000', secret: SECRET }
    assert.equal(checkOpenOptions(named).advertise, '10.0.0.7:9000')
    refused({ ...named, advertise: '0.0.0.0:9000' }, /advertise .* is no address/)
  })

  test('beyond loopback a secret is needed, or insecure', () => {
    for (const bind of ['10.0.0.7:9000', 'db.example:9000']) {
      refused({ dataDir: '.', bind }, /pass secret .*insecure: true/s)
      const { security: plain } = checkOpenOptions({ dataDir: '.', bind, insecure: true })
      assert.deepEqual(plain, { kind: 'plaintext' })
      const { security } = checkOpenOptions({ dataDir: '.', bind, secret: SECRET })
      assert.deepEqual(security, { kind: 'psk', secrets: [SECRET] })
    }
    for (const bind of ['127.0.0.1:1', '127.9.9.9:1', 'localhost:1', '[::1]:1']) {
      assert.equal(checkOpenOptions({ dataDir: '.', bind }).security.kind, 'plaintext')
    }
  })

  test('secrets that can be guessed', () => {
    refused(
      { dataDir: '.', secret: 'fifteen bytes..' },
      /15 bytes can be guessed/,
      'ERR_WEAK_SECRET',
    )
    refused({ dataDir: '.', secret: [SECRET, 'short'] }, /5 bytes/, 'ERR_WEAK_SECRET')
    refused({ dataDir: '.', secret: [] }, /secret must be a string, or a list/)
    refused({ dataDir: '.', secret: 12 }, /secret must be a string/)
    // Sixteen bytes are counted, not sixteen characters.
    assert.equal(checkOpenOptions({ dataDir: '.', secret: 'ééééeééé' + 'e' }).security.kind, 'psk')
  })

  test('a secret is never shown', () => {
    assert.throws(
      () => checkOpenOptions({ dataDir: '.', secret: ['hunter2'] }),
      (error: Error) => !error.message.includes('hunter2'),
    )
  })

  test('extensions', () => {
    const one = { name: 'vec', version: '0.1.9', path: 'lib/vec0.so' }
    const { extensions } = checkOpenOptions({ dataDir: '.', extensions: [one] })
    assert.deepEqual(extensions, [{ ...one, path: resolve('lib/vec0.so') }])
    refused({ dataDir: '.', extensions: one }, /extensions must be a list/)
    refused({ dataDir: '.', extensions: ['vec0.so'] }, /extensions\[0\] must be an object/)
    refused({ dataDir: '.', extensions: [{ ...one, file: 'x' }] }, /\[0\]: unknown option 'file'/)
    refused({ dataDir: '.', extensions: [{ ...one, name: 'a b' }] }, /\[0\]\.name is 'a b'/)
    refused({ dataDir: '.', extensions: [{ ...one, version: 2 }] }, /\[0\]\.version is number/)
    refused({ dataDir: '.', extensions: [one, { ...one, path: '' }] }, /\[1\]\.path must be/)
    refused({ dataDir: '.', extensions: [one, one] }, /extensions has 'vec' twice/)
    const many = Array.from({ length: 8 }, (_, at) => ({ ...one, name: `${at}`.repeat(64) }))
    refused({ dataDir: '.', extensions: many }, /567 bytes together; all of them may take 512/)
  })

  test('how a cluster begins', () => {
    const bind = '127.0.0.1:9000'
    refused({ dataDir: '.', bind, bootstrap: true, join: '127.0.0.1:1' }, /pass one of them/)
    refused({ dataDir: '.', join: '127.0.0.1:1' }, /join is of use only with bind/)
    refused({ dataDir: '.', advertise: '127.0.0.1:1' }, /advertise is of use only with bind/)
    assert.equal(checkOpenOptions({ dataDir: '.', bind, bootstrap: true }).genesis, 'bootstrap')
    const joining = checkOpenOptions({ dataDir: '.', bind, join: ['127.0.0.1:1', '[::1]:2'] })
    assert.equal(joining.genesis, 'join')
    assert.deepEqual(joining.joinAddresses, ['127.0.0.1:1', '[::1]:2'])
    const join = async (): Promise<string[]> => []
    const forming = checkOpenOptions({ dataDir: '.', bind, join, expectedVoters: 3 })
    assert.deepEqual([forming.genesis, forming.joinSource], ['join', join])
    refused({ dataDir: '.', bind, expectedVoters: 3 }, /pass join as well/)
    refused({ dataDir: '.', bind, bootstrap: true, expectedVoters: 3 }, /and no bootstrap/)
    refused({ dataDir: '.', bind, join, expectedVoters: 0 }, /expectedVoters is 0/)
    refused({ dataDir: '.', bind, join, discoveryWindowMs: 10 }, /discoveryWindowMs is 10/)
    refused({ dataDir: '.', bind, join, ifRemoved: 'rejoins' }, /is 'rejoin' meant/)
    refused({ dataDir: '.', bind, join: 7 }, /a function that resolves to one/)
  })
})

suite('docs/options.md', () => {
  const page = readFileSync(new URL('../../docs/options.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)]

  test('has every option with its default, and no other', () => {
    const documented = rows.map(([, name, value]) => [name, value?.trim()])
    const real = Object.entries(OPTION_DEFAULTS).map(([name, value]) => [name, value])
    assert.deepEqual(
      documented.map(([name]) => name),
      real.map(([name]) => name),
    )
    for (const [i, [name, value]] of real.entries()) {
      const shown = documented[i]?.[1] ?? ''
      if (value === undefined) assert.doesNotMatch(shown, /^`[\d']/, `${name} has no fixed default`)
      else assert.equal(shown, `\`${typeof value === 'string' ? `'${value}'` : value}\``, `${name}`)
    }
  })

  test('says for each what more and less of it costs', () => {
    for (const [, name, , more, less] of rows) {
      assert.ok((more?.trim().length ?? 0) > 10 && (less?.trim().length ?? 0) > 10, name)
    }
  })
})
