/** The servers of the peers: in a folder of their own, on loopback, for this run alone. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  accessSync,
  chownSync,
  constants,
  existsSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
} from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from '../clock.ts'
import { findFreePorts } from '../cluster.ts'

/** A server that runs. */
export interface Server {
  readonly port: number
  end(): Promise<void>
}

/** What a peer needs, and how its server is started. */
export interface Peer {
  /** Of its rows, behind `jobs.`. */
  readonly name: string
  readonly kind: 'bullmq' | 'pgboss'
  /** Of `bench/peers/package.json`. */
  readonly module: string
  readonly program: () => string | null
  readonly start: (program: string) => Promise<Server>
}

const POSTGRES_FOLDERS = '/usr/lib/postgresql'
/** PostgreSQL refuses to run as root. */
const POSTGRES_USER = 'postgres'

export const PEERS: readonly Peer[] = [
  redisPeer('bullmq', 'always'),
  redisPeer('bullmq1s', 'everysec'),
  {
    name: 'pgboss',
    kind: 'pgboss',
    module: 'pg-boss',
    program: findPostgres,
    start: startPostgres,
  },
]

/** Why a peer cannot be measured here; null where it can. */
export function whyAbsent({ module, program }: Peer): string | null {
  const folder = fileURLToPath(new URL(`node_modules/${module}`, import.meta.url))
  return existsSync(folder) && program() !== null ? null : 'not installed'
}

/** It answers a write when that is on its disk, or syncs once a second, as most have it. */
function redisPeer(name: string, appendfsync: 'always' | 'everysec'): Peer {
  return {
    name,
    kind: 'bullmq',
    module: 'bullmq',
    program: () => findOnPath('redis-server'),
    start: (program) => startRedis(program, appendfsync),
  }
}

async function startRedis(program: string, appendfsync: string): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'colmena-bench-redis-'))
  const port = await freePort()
  const options = {
    bind: '127.0.0.1',
    port,
    dir: folder,
    appendonly: 'yes',
    appendfsync,
    save: '',
    'maxmemory-policy': 'noeviction',
  }
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
  return serve(spawn(program, args, { stdio: 'ignore' }), port, folder)
}

/** Its defaults: fsync, and an answer when the commit is on its disk. */
async function startPostgres(program: string): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'colmena-bench-postgres-'))
  const user = userOf(folder)
  const data = join(folder, 'data')
  const initdb = join(dirname(program), 'initdb')
  const made = spawnSync(initdb, ['-D', data, '-A', 'trust', '-U', 'bench', '--no-sync'], user)
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`)
  const port = await freePort()
  const options = ['-D', data, '-p', String(port), '-k', folder, '-h', '127.0.0.1']
  return serve(spawn(program, options, { ...user, stdio: 'ignore' }), port, folder)
}

function userOf(folder: string): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const [uid, gid] = ['-u', '-g'].map((flag) => {
    return Number(spawnSync('id', [flag, POSTGRES_USER], { encoding: 'utf8' }).stdout)
  }) as [number, number]
  chownSync(folder, uid, gid)
  return { uid, gid }
}

/** Gone with the bench, however that ends. */
async function serve(child: ChildProcess, port: number, folder: string): Promise<Server> {
  const exited = once(child, 'exit')
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  const kill = (): void => {
    child.kill('SIGKILL')
  }
  const leave = (): void => {
    kill()
    remove()
  }
  process.on('exit', leave)
  const end = async (): Promise<void> => {
    // PostgreSQL ends its children at this one, at once.
    child.kill('SIGQUIT')
    const late = setTimeout(kill, 5_000)
    await exited
    clearTimeout(late)
    process.off('exit', leave)
    remove()
  }
  try {
    await until('the server of a peer listens', () => answers(port))
  } catch (error) {
    await end()
    throw error
  }
  return { port, end }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

async function freePort(): Promise<number> {
  const [port] = await findFreePorts(1)
  if (port === undefined) throw new Error('there is no free port')
  return port
}

function findPostgres(): string | null {
  const onPath = findOnPath('postgres')
  if (onPath !== null) return realpathSync(onPath)
  if (!existsSync(POSTGRES_FOLDERS)) return null
  const versions = readdirSync(POSTGRES_FOLDERS).sort((a, b) => Number(b) - Number(a))
  const programs = versions.map((version) => join(POSTGRES_FOLDERS, version, 'bin', 'postgres'))
  return programs.find((program) => existsSync(program)) ?? null
}

function findOnPath(name: string): string | null {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this one.
    }
  }
  return null
}
