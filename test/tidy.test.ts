/** The rules of this house, held against every file of it; each rule's own test is in tidy/. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkCircles, checkDeadFiles, checkLayers, checkPages } from './tidy/layers.ts'
import { checkLock } from './tidy/lock.ts'
import { readProject } from './tidy/project.ts'
import {
  ambientFiles,
  checkAmbient,
  checkBuiltins,
  checkPlatform,
  checkPromises,
  fileSystemUsers,
} from './tidy/purity.ts'
import type { ProjectFile, Violation } from './tidy/source.ts'
import {
  checkColumns,
  checkDefaultExports,
  checkFileLengths,
  checkFlags,
  checkForeignWords,
  checkFunctionLengths,
  checkSleeps,
  checkTestMarks,
} from './tidy/text.ts'

const rules: Readonly<Record<string, (files: readonly ProjectFile[]) => Violation[]>> = {
  'imports go down, and by the door': checkLayers,
  'imports never go in a circle': checkCircles,
  'no file is dead': checkDeadFiles,
  'pages take types and no code': checkPages,
  'time, chance and timers come through ports': checkAmbient,
  'consensus, log and engine complete by callback': checkPromises,
  'files and SQLite are touched in few places': checkBuiltins,
  'the platform is asked for in few places': checkPlatform,
  'files are short': checkFileLengths,
  'lines are short': checkColumns,
  'functions are short': checkFunctionLengths,
  'exports have names': checkDefaultExports,
  'a flag is 0 or 1': checkFlags,
  'nothing speaks of one machine': checkForeignWords,
  'the lock file is whole': checkLock,
  'every test runs': checkTestMarks,
  'tests wait for conditions': checkSleeps,
}

describe('tidy', () => {
  const files = readProject()

  it('sees the project', () => {
    for (const path of [
      'package.json',
      'src/base/errors.ts',
      'web/demo/main.tsx',
      'test/tidy.test.ts',
    ]) {
      assert.ok(
        files.some((file) => file.path === path),
        `${path} was not found`,
      )
    }
  })

  for (const [rule, check] of Object.entries(rules)) {
    it(rule, () => {
      const violations = check(files)
      const lines = violations.map(({ path, line, message }) => `${path}:${line} ${message}`)
      assert.equal(violations.length, 0, `\n${lines.join('\n')}\n`)
    })
  }

  it('makes no exception for a file that is gone', () => {
    const paths = new Set(files.map(({ path }) => path))
    const excepted = [...fileSystemUsers.keys(), ...ambientFiles.keys()]
    assert.deepEqual(
      excepted.filter((path) => !paths.has(path)),
      [],
    )
  })
})
