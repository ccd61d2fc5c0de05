/** The lock file must name every package for every platform: npm 11 and 12 refuse it otherwise. */
import type { ProjectFile, Violation } from './source.ts'

interface LockedPackage {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

export function checkLock(files: readonly ProjectFile[]): Violation[] {
  const file = files.find(({ path }) => path === 'package-lock.json')
  if (file === undefined) return []
  const packages: Readonly<Record<string, LockedPackage>> = JSON.parse(file.text).packages
  const violations: Violation[] = []
  for (const [place, { dependencies, optionalDependencies }] of Object.entries(packages)) {
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      if (isLocked(packages, place, name)) continue
      const message = `${name} of ${place || 'the project'} is missing: \`npm ci\` would refuse`
      violations.push({ path: file.path, line: 1, message })
    }
  }
  return violations
}

/** A package finds another in its own node_modules or in that of any folder above. */
function isLocked(
  packages: Readonly<Record<string, unknown>>,
  place: string,
  name: string,
): boolean {
  for (let folder = place; ; folder = folder.slice(0, folder.lastIndexOf('/node_modules/'))) {
    if (`${folder}${folder === '' ? '' : '/'}node_modules/${name}` in packages) return true
    if (folder === '') return false
    if (!folder.includes('/node_modules/')) return `node_modules/${name}` in packages
  }
}
