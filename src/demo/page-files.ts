import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { BenchFigures } from './protocol.ts'

/** Sources and build both lie two folders below the package's own. */
const ROOT = new URL('../../', import.meta.url)
const TYPES: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  md: 'text/plain; charset=utf-8',
  svg: 'image/svg+xml',
}
/** What the page consists of and links to: names of files, and no way out of their folders. */
const PATHS: readonly (readonly [RegExp, string])[] = [
  [/^assets\/[\w-]+(\.[\w-]+)*\.(css|js|svg)$/, 'dist/web/'],
  [/^docs\/[\w-]+\.md$/, ''],
  [/^(README|ARCHITECTURE|CHANGELOG)\.md$/, ''],
]

export interface PageFile {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly type: string
}

/** What is served under a path; null if there is nothing. */
export function readPageFile(path: string): PageFile | null {
  if (path === '') return readFile('dist/web/demo.html')
  const [, folder] = PATHS.find(([pattern]) => pattern.test(path)) ?? []
  return folder === undefined ? null : readFile(folder + path)
}

function readFile(path: string): PageFile | null {
  const type = TYPES[path.slice(path.lastIndexOf('.') + 1)] as string
  try {
    return { bytes: Uint8Array.from(readFileSync(fileURLToPath(new URL(path, ROOT)))), type }
  } catch {
    return null
  }
}

/** The figures that came with the package, or those of a later run on this machine. */
export function readBenchFigures(): BenchFigures | null {
  const [shipped, local] = ['docs/bench.json', 'data/bench.json'].map((path) => {
    const file = readFile(path)
    return file === null ? null : (JSON.parse(Buffer.from(file.bytes).toString()) as BenchFigures)
  })
  if (shipped == null || local == null) return shipped ?? local ?? null
  return local.date >= shipped.date ? local : shipped
}
