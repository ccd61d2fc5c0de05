/** A project that has installed the packed package, and nothing else. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join, relative } from 'node:path'
import { text } from 'node:stream/consumers'
import { foreignEnv, type Packed, root, runNpm } from './packed.ts'

export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/**
 * Without network and with an empty cache: whatever the package needs is in it, or is one of its
 * dependencies, which are copied from here as npm would have put them there.
 */
export function installConsumer(packed: Packed, name: string): string {
  const folder = join(packed.folder, name)
  mkdirSync(folder)
  copyDependencies(folder)
  const cache = join(packed.folder, 'cache')
  const quiet = ['--offline', '--no-audit', '--no-fund', '--cache', cache]
  runNpm(folder, ['install', packed.tarball, ...quiet])
  return folder
}

interface Lock {
  readonly packages: Readonly<Record<string, Locked>>
}

interface Locked {
  readonly dev?: boolean
  readonly link?: boolean
  /** Its commands, and their files. */
  readonly bin?: Readonly<Record<string, string>>
}

/** What the lock file does not have for development only. */
export function copyDependencies(folder: string): void {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock
  const commands = join(folder, 'node_modules/.bin')
  mkdirSync(commands, { recursive: true })
  for (const [path, { dev, link, bin = {} }] of Object.entries(lock.packages)) {
    // One that is optional may not be for this platform.
    if (!path.startsWith('node_modules/') || dev || link || !existsSync(join(root, path))) continue
    cpSync(join(root, path), join(folder, path), { recursive: true })
    // Without them npm takes the package for broken, and downloads it.
    for (const [name, file] of Object.entries(bin)) {
      symlinkSync(relative(commands, join(folder, path, file)), join(commands, name))
    }
  }
}

export function write(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
}

export async function runNode(node: string, cwd: string, args: readonly string[]): Promise<Ended> {
  const child = spawn(node, args, { cwd, env: foreignEnv(), timeout: 60_000 })
  const [stdout, stderr, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { status, stdout, stderr }
}

/** The README's first code block, on ports that are free here. */
export async function readFirstScreen(): Promise<string> {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const code = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
  const ports = await findFreePorts(3)
  let adapted = code
  for (const port of ['9001', '9002', '9003']) {
    assert.ok(code.includes(`127.0.0.1:${port}`), `the README uses port ${port}`)
    adapted = adapted.replace(`127.0.0.1:${port}`, `127.0.0.1:${ports.pop()}`)
  }
  return adapted
}

/** They differ, as all are held until the last one is known. */
async function findFreePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const addresses = servers.map((server) => server.address())
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return addresses.map((address) => {
    assert.ok(address !== null && typeof address === 'object')
    return address.port
  })
}

export function measureFolderBytes(folder: string): number {
  let bytes = 0
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).size
  }
  return bytes
}
