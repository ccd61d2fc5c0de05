/** A folder as a user has it: the packages that were installed, files, and commands typed in it. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { readCodeBlocks, readPage, root } from '../docs/pages.ts'
import { TOKEN } from './served.ts'

const COMMAND_TIMEOUT_MS = 60_000
const ESCAPES = new RegExp(`${String.fromCharCode(27)}\\[[0-9;?]*[a-zA-Z]`, 'g')

/** Under one heading of docs/tools.md. */
export interface Recipe {
  readonly files: Readonly<Record<string, string>>
  /** What is typed, without `npx`. */
  readonly commands: readonly string[]
}

/** The files and commands of a section; a file's block begins with its name. */
export function readRecipe(heading: string): Recipe {
  const section = readPage('docs/tools.md')
    .split(/^#+ /m)
    .find((each) => each.startsWith(heading))
  const files: Record<string, string> = {}
  const commands: string[] = []
  for (const { info, code } of readCodeBlocks(section ?? '')) {
    const [, name] = /^\/\/ (\S+\.\w+)$/m.exec(code) ?? []
    if (info === 'sh') commands.push(...code.trim().split('\n'))
    else if (name !== undefined) files[name] = code
  }
  return { files, commands: commands.map((each) => each.replace(/^npx /, '')) }
}

export interface Ended {
  readonly status: number
  /** What a terminal would have shown in all, without its colours. */
  readonly output: string
}

export class Project {
  readonly path: string

  /** `packages` by the names that they have in it, each with ours. */
  constructor(packages: Readonly<Record<string, string>>) {
    this.path = mkdtempSync(join(tmpdir(), 'colmena-project-'))
    this.write('package.json', '{ "type": "module" }')
    const installed = join(this.path, 'node_modules')
    mkdirSync(join(installed, '.bin'), { recursive: true })
    for (const [name, ours] of Object.entries(packages)) {
      const from = join(root, 'node_modules', ours)
      mkdirSync(dirname(join(installed, name)), { recursive: true })
      symlinkSync(from, join(installed, name), 'junction')
      const { bin = {} } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8'))
      for (const [command, file] of Object.entries(bin as Record<string, string>)) {
        symlinkSync(join(from, file), join(installed, '.bin', command))
      }
    }
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }

  write(name: string, text: string): void {
    mkdirSync(dirname(join(this.path, name)), { recursive: true })
    writeFileSync(join(this.path, name), text)
  }

  read(name: string): string {
    return readFileSync(join(this.path, name), 'utf8')
  }

  /** Runs a command to its end. @throws AssertionError where its status is another one */
  async run(command: string, status: number = 0): Promise<string> {
    const child = this.#start(command)
    child.stdin?.end()
    const ended = await untilEnd(child)
    assert.equal(ended.status, status, `${command}\n${ended.output}`)
    return ended.output
  }

  /** The same on a terminal: `answer` says what is typed at what was shown since it last did. */
  async type(command: string, answer: (shown: string) => string | null): Promise<string> {
    const preload = `data:text/javascript,${encodeURIComponent(TERMINAL)}`
    const child = this.#start(command, { NODE_OPTIONS: `--import=${preload}` })
    let shown = ''
    const { status, output } = await untilEnd(child, (text) => {
      shown += text
      const keys = answer(shown)
      if (keys === null) return
      shown = ''
      child.stdin?.write(keys)
    })
    assert.equal(status, 0, `${command}\n${output}`)
    return output
  }

  #start(command: string, more: Readonly<Record<string, string>> = {}): ChildProcess {
    const { PATH = '' } = process.env
    const path = [join(this.path, 'node_modules', '.bin'), dirname(process.execPath), PATH]
    // The last one keeps Prisma from asking for news.
    const own = { PATH: path.join(delimiter), COLMENA_TOKEN: TOKEN, CHECKPOINT_DISABLE: '1' }
    // In the place of the shell, so that it is what a timeout ends.
    return spawn(`exec ${command}`, {
      shell: true,
      cwd: this.path,
      env: { ...process.env, ...own, ...more },
      timeout: COMMAND_TIMEOUT_MS,
    })
  }
}

/** What makes pipes a terminal for the library that asks. */
const TERMINAL = `
for (const stream of [process.stdin, process.stdout]) stream.isTTY = true
process.stdin.setRawMode = () => process.stdin
process.stdout.columns = 100
`

function untilEnd(child: ChildProcess, shown?: (text: string) => void): Promise<Ended> {
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      const plain = text.replaceAll(ESCAPES, '')
      output += plain
      shown?.(plain)
    })
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      resolve({ status: code ?? -1, output: signal === null ? output : `${output}\n${signal}` })
    })
  })
}
