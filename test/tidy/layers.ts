/** Which room may import which, and how: downwards, by the door, never in a circle. */
import { posix } from 'node:path'
import { findImports, type ProjectFile, type Violation } from './source.ts'

/** The rooms of src/, from the ground up. */
export const layers: ReadonlyMap<string, number> = new Map([
  ['base', 0],
  ['raft', 0],
  ['command', 1],
  ['sqlite', 1],
  ['log', 2],
  ['database', 2],
  ['transport', 2],
  ['engine', 3],
  ['node', 3],
  ['index.ts', 4],
  ['jobs', 5],
  ['certificates', 5],
  ['cluster', 5],
  ['backup', 5],
  ['dialects', 5],
  ['testing', 5],
  ['lan', 6],
  ['fly', 6],
  ['dns', 6],
  ['server', 6],
  ['demo', 7],
  ['cli', 8],
])

/** From this layer on, a room sees the core as a stranger would: through src/index.ts only. */
const strangersFrom = 5

/** The few imports between rooms of one layer. */
const neighbours: ReadonlySet<string> = new Set([
  'sqlite > command',
  'node > engine',
  'testing > cluster',
])

/** Files that may be imported directly although they are not their room's door. */
const sideDoors: ReadonlySet<string> = new Set([
  'src/raft/types.ts',
  // A room for users is its door, and this is of no use to them.
  'src/testing/node-proxy.ts',
  // A door of its own, so that whoever keeps backups elsewhere loads nothing of it.
  'src/backup/s3.ts',
])

/** What the pages in web/ may know of src/. */
const pageTypes: ReadonlySet<string> = new Set([
  'src/index.ts',
  'src/jobs/jobs.ts',
  'src/backup/backup.ts',
  'src/demo/protocol.ts',
])

interface Edge {
  readonly from: string
  readonly to: string
  readonly line: number
  readonly specifier: string
}

export function checkLayers(files: readonly ProjectFile[]): Violation[] {
  const violations: Violation[] = []
  for (const file of files.filter(isSource)) {
    if (!layers.has(roomOf(file.path))) {
      const message = `src/${roomOf(file.path)} is in no layer: enter it in test/tidy/layers.ts`
      violations.push({ path: file.path, line: 1, message })
    }
  }
  for (const edge of findEdges(files.filter(isSource))) {
    const message = describeWrongEdge(edge)
    if (message !== undefined) violations.push({ path: edge.from, line: edge.line, message })
  }
  return violations
}

function describeWrongEdge({ from, to, specifier }: Edge): string | undefined {
  if (!isSource({ path: to })) return `"${specifier}" leaves src/: sources import only sources`
  const [room, target] = [roomOf(from), roomOf(to)]
  if (room === target) return undefined
  if (room === 'raft') return `raft/ imports nothing outside itself, not even ${specifier}`
  const [layer, targetLayer] = [layers.get(room), layers.get(target)]
  if (layer === undefined || targetLayer === undefined) return undefined
  if (layer >= strangersFrom && targetLayer < 4) {
    return `"${specifier}" goes past src/index.ts, the only way from ${room}/ into the core`
  }
  if (targetLayer > layer || (targetLayer === layer && !neighbours.has(`${room} > ${target}`))) {
    return `imports go down only: ${room}/ is layer ${layer}, ${target}/ layer ${targetLayer}`
  }
  return isDoor(to) || isThreadEntry(from) || isThreadEntry(to)
    ? undefined
    : `enter ${target}/ by its door ${target}/${target}.ts, not "${specifier}"`
}

/** The pages are built apart: they take types of what they speak with, and no code. */
export function checkPages(files: readonly ProjectFile[]): Violation[] {
  const pages = files.filter(({ path }) => /^web\/.*\.tsx?$/.test(path))
  return pages.flatMap((file) =>
    findImports(file).flatMap(({ specifier, line, kind }) => {
      const to = posix.join(posix.dirname(file.path), specifier)
      if (!specifier.startsWith('.') || to.startsWith('web/')) return []
      if (kind === 'type' && pageTypes.has(to)) return []
      const message = `web/ imports types of ${[...pageTypes].join(', ')}, and nothing else`
      return [{ path: file.path, line, message }]
    }),
  )
}

function isDoor(path: string): boolean {
  const room = roomOf(path)
  if (room === 'base' || room === 'index.ts' || sideDoors.has(path)) return true
  return path === `src/${room}/${room}.ts`
}

/** The first file of a thread or process is loaded by address and puts together what it needs. */
export function isThreadEntry(path: string): boolean {
  return /(^|[/-])(thread|process)\.ts$/.test(path)
}

export function checkCircles(files: readonly ProjectFile[]): Violation[] {
  const targets = new Map<string, Edge[]>()
  for (const edge of findEdges(files.filter(isSource))) {
    targets.set(edge.from, [...(targets.get(edge.from) ?? []), edge])
  }
  const violations: Violation[] = []
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]): void => {
    if (done.has(path)) return
    for (const edge of targets.get(path) ?? []) {
      const start = [...trail, path].indexOf(edge.to)
      if (start >= 0) {
        const circle = [...[...trail, path].slice(start), edge.to].join(' > ')
        violations.push({ path, line: edge.line, message: `imports go in a circle: ${circle}` })
      } else {
        visit(edge.to, [...trail, path])
      }
    }
    done.add(path)
  }
  for (const path of targets.keys()) visit(path, [])
  return violations
}

/**
 * A source that nothing leads to is dead. The roots are what package.json and the scripts name, as
 * its built name, and the entries of threads and processes; while src/index.ts does not exist there
 * is no root to judge by.
 */
export function checkDeadFiles(files: readonly ProjectFile[]): Violation[] {
  const sources = files.filter(isSource)
  if (!sources.some(({ path }) => path === 'src/index.ts')) return []
  const naming = files.filter(({ path }) => path === 'package.json' || /^scripts\//.test(path))
  const named = naming.flatMap(({ text }) =>
    [...text.matchAll(/["']\.{1,2}\/dist\/([^"']+)\.js["']/g)].map(([, name]) => `src/${name}.ts`),
  )
  const targets = Map.groupBy(findEdges(sources), ({ from }) => from)
  const alive = new Set<string>()
  const open = [...named, ...sources.map(({ path }) => path).filter(isThreadEntry)]
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (alive.has(path)) continue
    alive.add(path)
    for (const { to } of targets.get(path) ?? []) open.push(to)
  }
  return sources
    .filter(({ path }) => !alive.has(path))
    .map(({ path }) => ({
      path,
      line: 1,
      message: 'nothing leads here from the package: remove it',
    }))
}

/** The relative imports of the files, resolved; thread entries count by their `new URL` too. */
function findEdges(files: readonly ProjectFile[]): Edge[] {
  const edges: Edge[] = []
  for (const file of files) {
    for (const { specifier, line, kind } of findImports(file)) {
      if (!specifier.startsWith('.') || (kind === 'url' && !specifier.endsWith('.ts'))) continue
      const to = posix.normalize(posix.join(posix.dirname(file.path), specifier))
      edges.push({ from: file.path, to, line, specifier })
    }
  }
  return edges
}

function isSource({ path }: Pick<ProjectFile, 'path'>): boolean {
  return path.startsWith('src/') && path.endsWith('.ts')
}

/** The first folder below src/, or the file itself if it lies directly in src/. */
export function roomOf(path: string): string {
  return path.split('/')[1] ?? ''
}
