/** The files of this project, without what is installed, built or written at run time. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { ProjectFile } from './source.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const foldersLeftOut = new Set(['.git', 'node_modules', 'dist', 'coverage', 'data'])

export function readProject(): ProjectFile[] {
  const files: ProjectFile[] = []
  readFolder('', files)
  return files
}

function readFolder(folder: string, files: ProjectFile[]): void {
  for (const entry of readdirSync(root + folder, { withFileTypes: true })) {
    const path = folder + entry.name
    if (entry.isDirectory()) {
      if (!foldersLeftOut.has(entry.name)) readFolder(`${path}/`, files)
    } else if (entry.isFile() && !entry.name.endsWith('.tgz')) {
      files.push({ path, text: readFileSync(root + path, 'utf8') })
    }
  }
}
