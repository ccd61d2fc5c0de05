/**
 * Where a part works: a folder of its own with a copy of the built package, so that a build
 * meanwhile changes nothing of it, and the member's program as JavaScript: what Node.js loads to
 * read TypeScript would count as memory of a node.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PROGRAM: readonly string[] = [
  'backup-work.ts',
  'clock.ts',
  'figures.ts',
  'job-queue.ts',
  'job-work.ts',
  'load.ts',
  'member.ts',
  'peer-queues.ts',
  'profiled-thread.ts',
  'raw.ts',
  'reading.ts',
  'transactions.ts',
]

export class Stage {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'colmena-bench-'))
  #folders = 0

  constructor() {
    for (const name of ['package.json', 'dist']) {
      cpSync(join(ROOT, name), join(this.folder, name), { recursive: true })
    }
    mkdirSync(join(this.folder, 'bench'))
    const manifest = join('bench', 'package.json')
    cpSync(join(ROOT, manifest), join(this.folder, manifest))
    // Of the package, and what the peers need for themselves.
    this.#link('node_modules', 'node_modules')
    this.#link(join('bench', 'peers', 'node_modules'), join('bench', 'node_modules'))
    for (const name of PROGRAM) {
      const code = stripTypeScriptTypes(readFileSync(join(ROOT, 'bench', name), 'utf8'))
      const javaScript = code.replaceAll(/^(.*from '\.\/[\w-]+)\.ts'$/gm, "$1.js'")
      writeFileSync(join(this.folder, 'bench', name.replace('.ts', '.js')), javaScript)
    }
  }

  #link(from: string, to: string): void {
    const target = join(ROOT, from)
    if (existsSync(target)) symlinkSync(target, join(this.folder, to), 'dir')
  }

  get program(): string {
    return join(this.folder, 'bench', 'member.js')
  }

  /** A new empty folder, gone with the stage. */
  createFolder(): string {
    this.#folders += 1
    const folder = join(this.folder, `data-${this.#folders}`)
    mkdirSync(folder)
    return folder
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }
}
