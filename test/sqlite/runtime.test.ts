import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ColmenaError } from '../../src/base/errors.ts'
import { DATABASE_OPTIONS, engineFingerprint, requireSqlite } from '../../src/sqlite/sqlite.ts'

type SqliteModule = ReturnType<typeof requireSqlite>

/** The real module with another DatabaseSync, as an older Node.js would have it. */
function moduleWith(DatabaseSync: unknown): () => SqliteModule {
  return () => ({ ...requireSqlite(), DatabaseSync }) as unknown as SqliteModule
}

/** A database that has all that is asked for but one thing. */
function without(member: 'setAuthorizer' | 'createSession' | 'limits' | 'isTransaction'): unknown {
  return function OldDatabase(path: string, options: object) {
    const { DatabaseSync } = requireSqlite()
    const db = new DatabaseSync(path, options)
    const { limits, isTransaction } = db
    const all = {
      limits,
      isTransaction,
      setAuthorizer: () => undefined,
      createSession: () => undefined,
      exec: (sql: string) => db.exec(sql),
      close: () => db.close(),
    }
    return { ...all, [member]: undefined }
  }
}

function undefended(): unknown {
  const { DatabaseSync } = requireSqlite()
  return class extends DatabaseSync {
    constructor(path: string, options: object) {
      super(path, { ...options, defensive: false })
    }
  }
}

describe('the runtime', () => {
  const runtimes: readonly (readonly [missing: RegExp, load: () => SqliteModule | undefined])[] = [
    [/it has no node:sqlite/, () => undefined],
    [
      /it has no node:sqlite/,
      () => {
        throw new Error('No such built-in module')
      },
    ],
    [/no backup\(\)/, () => ({ ...requireSqlite(), backup: undefined }) as unknown as SqliteModule],
    [/no setAuthorizer\(\)/, moduleWith(without('setAuthorizer'))],
    [/no createSession\(\)/, moduleWith(without('createSession'))],
    [/no limits/, moduleWith(without('limits'))],
    [/no isTransaction/, moduleWith(without('isTransaction'))],
    [/no defensive flag/, moduleWith(undefended())],
  ]

  it('is refused in one sentence that says what is missing and what to do', () => {
    for (const [missing, loadModule] of runtimes) {
      assert.throws(
        () => requireSqlite({ version: 'v22.1.0', loadModule }),
        (error) => {
          assert.ok(error instanceof ColmenaError)
          assert.equal(error.code, 'ERR_UNSUPPORTED_RUNTIME')
          assert.match(error.message, missing)
          assert.match(error.message, /^Colmena can't run on Node\.js v22\.1\.0, because /)
          assert.match(error.message, /use the newest Node\.js 24/)
          return true
        },
      )
    }
  })

  it('is accepted where everything is there', () => {
    const module = requireSqlite({ version: process.version, loadModule: requireSqlite })
    assert.equal(typeof module.DatabaseSync, 'function')
  })

  it('prints no warning', async () => {
    const warnings: Error[] = []
    process.on('warning', (warning) => warnings.push(warning))
    ;new (requireSqlite().DatabaseSync)(':memory:').close()
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(warnings, [])
  })

  it('is asked for its C library without a look at its connections', (t) => {
    const report = process.report as typeof process.report & { excludeNetwork: boolean }
    const excluded: boolean[] = []
    const getReport = report.getReport.bind(report)
    t.mock.method(report, 'getReport', () => {
      excluded.push(report.excludeNetwork)
      return getReport()
    })
    engineFingerprint()
    assert.deepEqual(excluded, process.platform === 'linux' ? [true] : [])
    assert.equal(report.excludeNetwork, false)
  })

  it('has a fingerprint that names what decides its answers', () => {
    const db = new (requireSqlite().DatabaseSync)(':memory:')
    const id = String(db.prepare('SELECT sqlite_source_id() AS id').get()?.['id'])
    db.close()
    const fingerprint = engineFingerprint()
    assert.equal(fingerprint, engineFingerprint())
    assert.ok(fingerprint.includes(id.split(' ').at(-1) ?? 'no id'))
    assert.ok(fingerprint.includes(`${process.platform} ${process.arch} `))
    assert.ok(!fingerprint.includes('\n'))
    assert.equal(Object.isFrozen(DATABASE_OPTIONS), true)
  })
})
