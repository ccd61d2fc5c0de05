/** Which room may touch what lies outside the program: time, chance, threads, files, SQLite. */
import { isThreadEntry, roomOf } from './layers.ts'
import {
  findImports,
  isNode,
  lineOf,
  memberOf,
  nameOf,
  type ProjectFile,
  parseSource,
  readString,
  type SyntaxNode,
  type Violation,
  walk,
} from './source.ts'

/** These run in a simulator as they are, so all they know of the world comes through ports. */
const ambientFreeRooms: ReadonlySet<string> = new Set([
  'raft',
  'command',
  'log',
  'engine',
  'database',
])
/** These complete by callback: a promise would run at a moment no simulator decides. */
const promiseFreeRooms: ReadonlySet<string> = new Set(['raft', 'command', 'log', 'engine'])
/** Files of those rooms that stand outside the loop which a simulator runs, and why. */
export const ambientFiles: ReadonlyMap<string, string> = new Map([
  ['src/database/content-hashes.ts', 'starts the thread that hashes content'],
  ['src/database/generation.ts', 'folders and files of a generation, between two groups'],
  ['src/database/read-pool.ts', "the connections that the user's thread reads with"],
  ['src/database/reader-serving.ts', 'reads in a process of its own, outside any simulation'],
  ['src/database/storage-client.ts', 'starts the storage thread and speaks with it'],
  ['src/engine/no-network.ts', 'the network of a node that has none, outside any simulation'],
])

const ambientNames: ReadonlySet<string> = new Set([
  'Date',
  'performance',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'process',
  'crypto',
  'globalThis',
])
/** What an ambient-free file may import of Node.js: only what answers alike everywhere. */
const pureBuiltins: ReadonlySet<string> = new Set(['node:zlib', 'node:buffer', 'node:path'])

/** The files that may import node:fs, and why. */
export const fileSystemUsers: ReadonlyMap<string, string> = new Map([
  ['src/base/directory-sync.ts', 'what the platforms call syncing a directory'],
  [
    'src/database/applying-note.ts',
    'a note beside the databases that must outlive a killed process',
  ],
  [
    'src/database/generation.ts',
    'folders of database files, which it opens only while they are closed',
  ],
  ['src/backup/copying.ts', 'puts and gets copies of databases, never one in use'],
  ['src/backup/directory-target.ts', 'keeps backups in a folder that a person names'],
  ['src/backup/file-restoring.ts', 'looks whether a file is there that it must not replace'],
  ['src/backup/folders.ts', 'makes the folders that are restored into for a try'],
  ['src/backup/restoring.ts', 'empties the folder that copies are fetched into'],
  ['src/backup/verifying.ts', 'removes what a drill restored'],
  ['src/cli/backup-target.ts', 'reads the keys that a person names'],
  ['src/cli/ca.ts', 'reads a CA that a person names, and writes keys and certificates'],
  ['src/cli/dump.ts', 'reads a file that a person names'],
  ['src/cli/export.ts', 'writes a file that a person names, and never one that is there'],
  ['src/cli/import.ts', 'reads a file that a person names'],
  ['src/cli/text-file.ts', 'reads a file that a person names'],
  ['src/cli/history.ts', 'keeps its history in the home of who types'],
  ['src/cli/serve-settings.ts', 'reads what a person names: settings, a secret, a certificate'],
  ['src/demo/data-folder.ts', 'makes and removes the folder of the demo, while no node runs'],
  ['src/demo/page-files.ts', 'the pages that the demo serves'],
  ['src/lan/node-id.ts', 'reads the name that a certificate needs before the node is opened'],
  ['src/log/real-disk.ts', 'the Disk port on real files'],
  ['src/node/copy-target.ts', 'names a copy of a database, once no connection is open on it'],
  ['src/node/data-dir.ts', 'makes the data directory'],
  ['src/node/identity.ts', 'the identity file'],
  ['src/node/recovery.ts', 'looks whether there is a directory to recover'],
  ['src/node/recovery-files.ts', 'copies and exchanges files of a node that is closed'],
  ['src/node/restoring-files.ts', 'makes and moves the files of a node that is not begun yet'],
  ['src/node/wiping.ts', 'deletes what a node holds that is closed'],
  ['src/node/threads.ts', 'looks whether the code of its threads and processes is there'],
  ['src/server/exports.ts', 'sends copies of databases that it had made, never one in use'],
  ['src/server/pages.ts', 'the pages that the package brings'],
  ['src/testing/folders.ts', 'makes and removes the folders of test nodes, while none runs'],
  ['src/transport/snapshot-files.ts', 'the copies that a snapshot arrives as'],
  ['src/transport/snapshot-sender.ts', 'the copies that a snapshot is sent from'],
])

/** The files that know which platform they run on, and why. */
export const platformUsers: ReadonlyMap<string, string> = new Map([
  ['src/base/directory-sync.ts', 'not all platforms can sync a directory'],
  ['src/log/real-disk.ts', 'how a durable write is made'],
  ['src/sqlite/runtime.ts', "the platform is a part of the engine's fingerprint"],
])

/** What differs between platforms is decided in few places, since we run on one of them only. */
export function checkPlatform(files: readonly ProjectFile[]): Violation[] {
  const judged = files.filter(
    ({ path }) => path.startsWith('src/') && path.endsWith('.ts') && !platformUsers.has(path),
  )
  return judged.flatMap((file) => {
    const violations: Violation[] = []
    walk(parseSource(file), (node) => {
      if (memberOf(node) !== 'platform' || nameOf(node['object']) !== 'process') return
      const message = 'process.platform only in the files listed in test/tidy/purity.ts'
      violations.push({ path: file.path, line: lineOf(node), message })
    })
    return violations
  })
}

export function checkAmbient(files: readonly ProjectFile[]): Violation[] {
  return files.filter(isPure).flatMap((file) => {
    const violations: Violation[] = []
    const report = (node: SyntaxNode, what: string): void => {
      const message = `${what} in ${roomOf(file.path)}/: use a port of src/base/ports.ts`
      violations.push({ path: file.path, line: lineOf(node), message })
    }
    walk(parseSource(file), (node, parents) => {
      const name = nameOf(node)
      if (name !== undefined && ambientNames.has(name) && !isLabel(node, parents)) {
        if (name === 'Date' && isMention(node, parents)) return
        report(node, name)
      }
      if (memberOf(node) === 'random' && nameOf(node['object']) === 'Math') {
        report(node, 'Math.random')
      }
    })
    return violations
  })
}

export function checkPromises(files: readonly ProjectFile[]): Violation[] {
  const judged = files.filter((file) => isPure(file) && promiseFreeRooms.has(roomOf(file.path)))
  return judged.flatMap((file) => {
    const violations: Violation[] = []
    walk(parseSource(file), (node, parents) => {
      const isPromise = nameOf(node) === 'Promise' && !isLabel(node, parents)
      if (!isPromise && node['async'] !== true && node.type !== 'AwaitExpression') return
      const message = `a promise in ${roomOf(file.path)}/: complete by callback`
      violations.push({ path: file.path, line: lineOf(node), message })
    })
    return violations
  })
}

export function checkBuiltins(files: readonly ProjectFile[]): Violation[] {
  const violations: Violation[] = []
  for (const file of files.filter(({ path }) => path.startsWith('src/') && path.endsWith('.ts'))) {
    for (const { specifier, line, kind } of findImports(file)) {
      const message = describeWrongBuiltin(file, specifier, kind)
      if (message !== undefined) violations.push({ path: file.path, line, message })
    }
    violations.push(...checkSqliteName(file))
  }
  return violations
}

function describeWrongBuiltin(
  file: ProjectFile,
  specifier: string,
  kind: string,
): string | undefined {
  const room = roomOf(file.path)
  if (specifier === 'node:sqlite') {
    // An import would end an old Node.js with a stack trace before our own sentence is printed.
    return kind === 'type'
      ? undefined
      : "load node:sqlite by process.getBuiltinModule('node:sqlite')"
  }
  if (specifier.startsWith('.') || kind === 'type') return undefined
  if (room === 'raft') return `raft/ imports nothing outside itself, not even ${specifier}`
  if (/^node:fs(\/|$)/.test(specifier)) {
    // Closing any descriptor of a database file drops SQLite's locks on it in the whole process.
    return fileSystemUsers.has(file.path)
      ? undefined
      : 'node:fs only in the files listed in test/tidy/purity.ts: no database file may meet it'
  }
  if (isPure(file) && !pureBuiltins.has(specifier)) {
    return `${specifier} in ${room}/: only ${[...pureBuiltins].join(', ')} are pure`
  }
  return undefined
}

/** Reads files that no node has: a person names them, and an import takes their rows. */
const FOREIGN_FILES = 'src/cli/foreign-database.ts'

/** Only sqlite/ may name node:sqlite, in whatever way it loads it. */
function checkSqliteName(file: ProjectFile): Violation[] {
  if (roomOf(file.path) === 'sqlite' || file.path === FOREIGN_FILES) return []
  const violations: Violation[] = []
  walk(parseSource(file), (node) => {
    if (readString(node) !== 'node:sqlite' || node.type !== 'StringLiteral') return
    const message = 'only src/sqlite knows node:sqlite: use its door'
    violations.push({ path: file.path, line: lineOf(node), message })
  })
  return violations
}

function isPure({ path }: ProjectFile): boolean {
  if (!path.startsWith('src/') || !path.endsWith('.ts')) return false
  if (isThreadEntry(path) || /\/real-[^/]*\.ts$/.test(path) || ambientFiles.has(path)) return false
  return ambientFreeRooms.has(roomOf(path))
}

/** True where an identifier only names a field, as in `entry.process` or `{ process: 1 }`. */
function isLabel(node: SyntaxNode, parents: readonly SyntaxNode[]): boolean {
  const parent = parents.at(-1)
  if (!isNode(parent) || parent['computed'] === true) return false
  if (parent.type === 'PrivateName') return true
  if (parent['property'] === node) return true
  // The key of `{ process }` is a reference as well; its value is a node of its own.
  return parent['key'] === node
}

/** `value instanceof Date` and `: Date` look at the caller's date; they do not ask for the time. */
function isMention(node: SyntaxNode, parents: readonly SyntaxNode[]): boolean {
  const parent = parents.at(-1)
  if (parent?.type === 'TSTypeReference') return true
  return parent?.['operator'] === 'instanceof' && parent['right'] === node
}
