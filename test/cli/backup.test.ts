/** Backups as the command keeps them, looks at them, and brings them back. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { readServeConfig } from '../../src/cli/serve-settings.ts'
import { requireSqlite } from '../../src/sqlite/sqlite.ts'
import { startServer } from '../backup/s3-rig.ts'
import { BUCKET, KEY, SECRET } from '../backup/s3-server.ts'
import { until } from '../processes/wait.ts'
import { type Ended, makeDirectory, type RunOptions, run, serve } from './command.ts'

const KEY_FILE = `key-2 ${'a1'.repeat(32)}\nkey-1 ${'b2'.repeat(32)}\n`

interface Shipped {
  readonly url: string
  readonly folder: string
  readonly target: string
  readonly leave: () => Promise<Ended>
}

/** A node with two rows in a backup, which it had to ship. */
async function ship(
  t: TestContext,
  target: string,
  flags: readonly string[] = [],
  options?: RunOptions,
): Promise<Shipped> {
  const { running, url } = await serve(t, ['--backup', target, ...flags], options)
  const exec = async (sql: string): Promise<void> => {
    assert.equal((await run(['exec', sql, '--url', url])).code, 0)
  }
  await exec('CREATE TABLE t (v)')
  // The first snapshot is of before the rows, so that these are in the log.
  assert.equal((await run(['backup', 'now', '--url', url])).code, 0)
  for (const value of [1, 2]) await exec(`INSERT INTO t VALUES (${value})`)
  const now = await run(['backup', 'now', '--url', url])
  assert.equal(now.code, 0, now.err)
  assert.match(now.out, / has all up to entry \d+\n$/)
  const leave = async (): Promise<Ended> => {
    running.kill('SIGTERM')
    return running.ended
  }
  return { url, folder: makeDirectory(t), target, leave }
}

function valuesIn(path: string): readonly unknown[] {
  const { DatabaseSync } = requireSqlite()
  const db = new DatabaseSync(path, { readOnly: true })
  const rows = db.prepare('SELECT v FROM t').all()
  db.close()
  return rows.map(({ v }) => v)
}

async function values(url: string): Promise<unknown> {
  const { out } = await run(['exec', 'SELECT v FROM t', '--json', '--url', url])
  return JSON.parse(out).map(({ v }: { v: unknown }) => v)
}

function namesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true }).map(String).toSorted()
}

describe('a backup by the command', () => {
  it('is kept, listed, verified, and restored as a node and as a file', async (t) => {
    const place = join(makeDirectory(t), 'backups')
    const { url, folder, leave } = await ship(t, place)
    const status = await run(['status', '--url', url])
    assert.match(status.out, /^backup in \S+backups: up to entry \d+, \d+\.\d s behind$/m)
    assert.equal((await run(['exec', 'INSERT INTO t VALUES (3)', '--url', url])).code, 0)
    const left = await leave()
    assert.deepEqual([left.code, left.err], [0, ''])
    assert.match(left.out, /backup: \S+ has a new generation/)

    const listed = await run(['backup', 'list', place])
    assert.equal(listed.code, 0, listed.err)
    assert.match(listed.out, /has the backup of cluster [0-9a-f]{32}, [\d.]+ KB/)
    const json = JSON.parse((await run(['backup', 'list', place, '--json'])).out)
    const [generation] = json.generations
    assert.ok(listed.out.includes(generation.generation))
    assert.ok(listed.out.includes(`${generation.from.index} to ${generation.to.index}`))

    const verified = await run(['backup', 'verify', place])
    assert.equal(verified.code, 0, verified.err)
    assert.match(verified.out, /restored for a try up to entry \d+ \(\S+Z\)/)
    assert.match(verified.out, /[0-9a-f]{64} {2}main@\d+\n/)
    assert.match(verified.out, /read [\d.]+ KB, [\d.]+ .B\/s; snapshots of .* entries\/s\n/)
    assert.match(verified.out, /is whole\n$/)

    const file = join(folder, 'newest.db')
    const made = await run(['restore', place, '--to-file', file])
    assert.equal(made.code, 0, made.err)
    assert.deepEqual(valuesIn(file), [1, 2, 3])
    const index = String(generation.to.index - 1)
    const before = join(folder, 'before.db')
    const flags = ['--to-file', before, '--to-index', index, '--database', 'main']
    assert.equal((await run(['restore', place, ...flags])).code, 0)
    assert.deepEqual(valuesIn(before), [1, 2])
    const again = await run(['restore', place, '--to-file', file])
    assert.equal(again.code, 1)
    assert.match(again.err, /there is a file .*newest\.db already/)

    const dataDir = join(folder, 'data')
    const node = await run(['restore', place, '--data-dir', dataDir, '--node-id', 'ann'])
    assert.equal(node.code, 0, node.err)
    assert.match(node.out, /RESTORED: .* node 'ann' of a new cluster, [0-9a-f]{32}/)
    assert.match(node.out, /Start it: {2}colmena serve --data-dir /)
    assert.ok(node.out.includes(`--backup-take-over ${json.clusterId}`))
    const started = await serve(t, ['--data-dir', dataDir])
    assert.deepEqual(await values(started.url), [1, 2, 3])
    const second = await run(['restore', place, '--data-dir', dataDir])
    assert.equal(second.code, 1)
  })

  it('names what is damaged, and ends with 1', async (t) => {
    const place = join(makeDirectory(t), 'backups')
    const { leave } = await ship(t, place)
    await leave()
    const copy = namesIn(place).find((name) => name.endsWith('.db')) as string
    const bytes = readFileSync(join(place, copy))
    bytes[5_000] = (bytes[5_000] as number) ^ 1
    writeFileSync(join(place, copy), bytes)
    const log = namesIn(place).find((name) => name.endsWith('.log')) as string
    writeFileSync(join(place, log), 'no segment')
    const { code, out, err } = await run(['backup', 'verify', place])
    assert.equal(code, 1)
    assert.ok(err.includes(copy) && err.includes(log), err)
    assert.match(err, /is damaged: \d objects are not as put there\n$/)
    assert.doesNotMatch(out, /is whole/)
  })

  it('is sealed by the keys in a file, which nobody sees', async (t) => {
    const folder = makeDirectory(t)
    const place = join(folder, 'backups')
    const keyFile = join(folder, 'keys')
    writeFileSync(keyFile, KEY_FILE)
    const flags = ['--backup-key-file', keyFile, '--backup-compression', 'zstd']
    const { leave } = await ship(t, place, flags)
    await leave()
    assert.ok(namesIn(place).some((name) => name.endsWith('.db.zst.sealed')))
    const without = await run(['backup', 'list', place])
    assert.equal(without.code, 1)
    assert.match(without.err, /with the key 'key-2': give the file that has it by --key-file/)
    const listed = await run(['backup', 'list', place, '--key-file', keyFile])
    assert.equal(listed.code, 0, listed.err)
    assert.match(listed.out, /key-2/)
    const file = join(folder, 'out.db')
    const made = await run(['restore', place, '--to-file', file, '--key-file', keyFile])
    assert.equal(made.code, 0, made.err)
    assert.deepEqual(valuesIn(file), [1, 2])
    writeFileSync(keyFile, `key-2 ${'a1'.repeat(31)}`)
    const wrong = await run(['backup', 'list', place, '--key-file', keyFile])
    assert.equal(wrong.code, 2)
    assert.match(wrong.err, /key 1 of .* must be its id and 64 hexadecimal digits/)
    assert.ok(!wrong.err.includes('a1a1'))
  })

  it('is in S3, with credentials of the environment alone', async (t) => {
    const server = await startServer(t)
    const { endpoint } = server
    const target = `s3://${BUCKET}/shop?endpoint=${endpoint}&pathStyle=true`
    const env = { AWS_ACCESS_KEY_ID: KEY, AWS_SECRET_ACCESS_KEY: SECRET }
    const { folder, leave } = await ship(t, target, [], { env })
    await leave()
    const file = join(folder, 'out.db')
    const made = await run(['restore', target, '--to-file', file], { env })
    assert.equal(made.code, 0, made.err)
    assert.deepEqual(valuesIn(file), [1, 2])
    const elsewhere = { ...env, AWS_ENDPOINT_URL_S3: endpoint }
    const short = `s3://${BUCKET}/shop?pathStyle=true`
    assert.equal((await run(['backup', 'list', short], { env: elsewhere })).code, 0)
  })

  it('is what a first start begins with, and a later one does not', async (t) => {
    const place = join(makeDirectory(t), 'backups')
    const { url, leave } = await ship(t, place)
    const { clusterId } = JSON.parse((await run(['backup', 'list', place, '--json'])).out)
    assert.match(await fetch(`${url}/backup`).then((answer) => answer.text()), /"shipping"/)
    await leave()
    const flags = ['--bootstrap', '--restore', place]
    const begun = await serve(t, [...flags, '--backup', place])
    assert.match(begun.running.out, /restored: snapshots of .*; \d+ entries of the log/)
    assert.deepEqual(await values(begun.url), [1, 2])
    const owned = await until('it is refused the place of the old one', () => {
      return /start the backup with --backup-take-over ([0-9a-f]{32})/.exec(begun.running.err)?.[1]
    })
    assert.equal(owned, clusterId)
    const failing = await run(['status', '--url', begun.url])
    assert.match(
      failing.out,
      /^backup in .*; FAILS \(\d+ in a row\): .* has the backup of cluster/m,
    )
    begun.running.kill('SIGTERM')
    await begun.running.ended
    // The source is not asked any more: it may be gone.
    rmSync(place, { recursive: true })
    const again = await serve(t, [...flags, '--data-dir', begun.dataDir])
    assert.doesNotMatch(again.running.out, /restored:/)
    assert.deepEqual(await values(again.url), [1, 2])
    const status = await run(['status', '--url', again.url])
    assert.deepEqual([status.code, /backup/.test(status.out)], [0, false])
    const none = await run(['backup', 'now', '--url', again.url])
    assert.equal(none.code, 1)
    assert.match(none.err, /this server was given no backup/)
    const other = join(makeDirectory(t), 'data')
    const missing = await run(['serve', '--data-dir', other, '--http-port', '0', ...flags])
    assert.equal(missing.code, 1)
    assert.match(missing.err, /the folder .* of backups is not there/)
    assert.equal(existsSync(join(other, 'identity.json')), false)
  })

  it('goes on in the place of a cluster that is no more', async (t) => {
    const place = join(makeDirectory(t), 'backups')
    const { leave } = await ship(t, place)
    await leave()
    const { clusterId } = JSON.parse((await run(['backup', 'list', place, '--json'])).out)
    const flags = ['--bootstrap', '--restore', place, '--backup', place]
    const { url } = await serve(t, [...flags, '--backup-take-over', clusterId])
    const now = await run(['backup', 'now', '--url', url])
    assert.equal(now.code, 0, now.err)
    const list = JSON.parse((await run(['backup', 'list', place, '--json'])).out)
    assert.notEqual(list.clusterId, clusterId)
  })
})

describe('a wrong call', () => {
  it('of a target, a time or a key says what is right', async (t) => {
    const folder = makeDirectory(t)
    const env = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' }
    const keys = { AWS_ACCESS_KEY_ID: KEY, AWS_SECRET_ACCESS_KEY: SECRET }
    const to = ['--to-file', join(folder, 'out.db')]
    for (const [args, message, with_ = env] of [
      [['backup'], /list \[options\] <target>/],
      [['backup', 'check'], /unknown command 'check'/],
      [['backup', 'list', 'ftp://host/x'], /no target of a backup: it is a folder, .*or s3:/],
      [['backup', 'list', 'file://host/x'], /one is as file:\/\/\/mnt\/backups/],
      [['backup', 'list', 's3://bucket/x'], /needs credentials: set AWS_ACCESS_KEY_ID/],
      [['backup', 'list', 's3://a:b@bucket/x'], /credentials are not for a command line/],
      [['backup', 'list', 's3://bucket/x?zone=1'], /has no 'zone', but endpoint, region/, keys],
      [['backup', 'list', 's3://bucket/x?pathStyle=1'], /must be true or false/, keys],
      [['backup', 'list', 's3://bucket/x?endpoint=1'], /endpoint is "1"; it must be as/, keys],
      [['backup', 'list', folder, '--key-file', 'none'], /--key-file can't be read/],
      [['restore', folder], /give --data-dir for a node, or --to-file/],
      [['restore', folder, '--data-dir', folder, ...to], /give --data-dir for a node, or/],
      [['restore', folder, ...to, '--node-id', 'a'], /--node-id goes with --data-dir/],
      [['restore', folder, '--data-dir', 'd', '--database', 'a'], /--database goes with/],
      [['restore', folder, ...to, '--to', '2026-11-28T10:00:00'], /a time with its zone/],
      [['restore', folder, ...to, '--to-index', '0'], /--to-index is '0'; it must be/],
      [['restore', folder, ...to, '--to', '2026-11-28', '--to-index', '1'], /give one/],
    ] as const) {
      const { code, err } = await run(args, { env: with_ })
      assert.deepEqual([code, message.test(err)], [2, true], `${args.join(' ')}: ${err}`)
    }
    const none = await run(['backup', 'list', folder])
    assert.equal(none.code, 1)
    assert.match(none.err, /holds no backup/)
  })

  it('of serve is refused before a node is opened', () => {
    const read = (flags: object) => () => readServeConfig(flags as never, {})
    const backup = ['./b']
    for (const [flags, message] of [
      [{ backupCompression: 'zstd' }, /^--backup-compression needs --backup$/],
      [{ backupKeyFile: 'k' }, /^--backup-key-file needs --backup$/],
      [{ restoreTo: '7' }, /^--restore-to needs --restore$/],
      [{ backup, backupSyncIntervalMs: '9' }, /--backup-sync-interval-ms is '9'; .* from 10 to/],
      [{ backup, backupKeepDays: '99999' }, /--backup-keep-days is '99999'/],
      [{ backup, backupCompression: 'gzip' }, /must be none or zstd/],
      [{ backup, backupTakeOver: 'me' }, /--backup-take-over is 'me'; .* as colmena backup list/],
      [{ restore: 'b', restoreTo: 'noon' }, /--restore-to is 'noon'; it must be a time/],
    ] as const) {
      assert.throws(read(flags), { exitCode: 2, message })
    }
    const { backup: plan } = readServeConfig(
      { backup: ['./b', './c'], backupKeepDays: '30', restore: './d', restoreTo: '12' },
      { COLMENA_BACKUP_COMPRESSION: 'zstd' },
    )
    assert.deepEqual(plan.targets, ['./b', './c'])
    assert.deepEqual(plan.restore, { target: './d', to: { index: 12 } })
    assert.equal(plan.options.retention?.keepMs, 30 * 86_400_000)
    assert.equal(plan.options.compression, 'zstd')
  })
})
