import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ColmenaError } from '../index.ts'

const PORTS_FILE = 'ports.json'

/** Where the nodes keep their data, and their ports: members know each other by them. */
export interface DataFolder {
  readonly path: string
  /** Those of the run before, one of each node: null in a new folder. */
  readonly ports: readonly number[] | null
  keepPorts(ports: readonly number[]): void
  remove(): void
}

/** Opens the folder given, which stays, or makes a temporary one, which goes in the end. */
export function openDataFolder(dataDir: string | null, count: number): DataFolder {
  const path = dataDir ?? mkdtempSync(join(tmpdir(), 'colmena-demo-'))
  const remove = (): void => {
    if (dataDir === null) rmSync(path, { recursive: true, force: true, maxRetries: 3 })
  }
  // Also where somebody ends the process without asking.
  process.on('exit', remove)
  mkdirSync(path, { recursive: true })
  const file = join(path, PORTS_FILE)
  return {
    path,
    ports: readPorts(file, count),
    keepPorts: (ports) => writeFileSync(file, `${JSON.stringify(ports)}\n`),
    remove: () => {
      process.off('exit', remove)
      remove()
    },
  }
}

function readPorts(file: string, count: number): readonly number[] | null {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return null
  }
  const ports = parse(text)
  if (Array.isArray(ports) && ports.length === count && ports.every(isPort)) return ports
  throw new ColmenaError(
    'ERR_DATA_DIR',
    `${file} does not hold the ${count} ports of a demo: give --data-dir another folder`,
  )
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function isPort(port: unknown): boolean {
  return Number.isInteger(port) && Number(port) > 0 && Number(port) < 65_536
}
