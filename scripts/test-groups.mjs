/**
 * A process for each test file costs as much as most of the files do. Those of one folder that need
 * no process to themselves share one: a file that imports them all stands for them.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Their tests leave the process as they found it, and wait little beside what they compute. */
const SHARING = [
  'test/base',
  'test/checking',
  'test/command',
  'test/conformance',
  'test/database',
  'test/dialects',
  'test/engine',
  'test/jobs',
  'test/log',
  'test/node',
  'test/raft',
  'test/server',
  'test/sqlite',
  'test/transport',
]
/** More take so long one after the other that a slow machine is not done within a file's limit. */
const FILES_MAX = 24
/** It asks what its process has loaded. */
const ALONE = ['test/sqlite/runtime.test.ts']

/**
 * Puts a file into `folder` for each that shares, where it has more than one of `files`. Answers
 * for all files to run, in the order of the first one of each, and how to call those that are new.
 */
export function groupTests(files, folder) {
  const groups = new Map()
  for (const file of files) {
    const shares = SHARING.includes(dirname(file)) && !ALONE.includes(file)
    const name = shares ? dirname(file) : file
    groups.set(name, [...(groups.get(name) ?? []), file])
  }
  const names = new Map()
  const entries = [...groups].flatMap(([name, members]) => {
    if (members.length === 1) return members
    const parts = Math.ceil(members.length / FILES_MAX)
    return Array.from({ length: parts }, (_, part) => {
      // Every so many of them, as neighbours are often alike.
      const own = members.filter((_, at) => at % parts === part)
      const suffix = parts === 1 ? '' : `-${part + 1}`
      const entry = join(folder, `${basename(name)}${suffix}.test.mjs`)
      const imports = own.map((file) => `import '${pathToFileURL(file).href}'\n`)
      mkdirSync(folder, { recursive: true })
      writeFileSync(entry, imports.join(''))
      names.set(entry, `${name}, ${own.length} files`)
      return entry
    })
  })
  return { entries, names }
}
