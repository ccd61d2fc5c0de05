/**
 * etcd/raft's own scenarios, each file's whole output compared character by character. The folder
 * comes from CONFORMANCE_DIR: either the three folders of scenarios, or a checkout of etcd-io/raft.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { Environment } from './etcd-raft-environment.ts'
import { createConfChangeDriver, driveQuorum } from './etcd-raft-pure.ts'
import { closeLine, type Directive, parseScenario } from './etcd-raft-scenario.ts'

const project = resolve(import.meta.dirname, '../..')
const folder = process.env['CONFORMANCE_DIR'] ?? join(project, '../shared/conformance/etcd-raft')

type Driver = (directive: Directive) => string

interface Group {
  readonly name: string
  /** Where its files are, in a folder of scenarios or in a checkout. */
  readonly folders: readonly string[]
  readonly createDriver: () => Driver
}

const groups: readonly Group[] = [
  {
    name: 'interaction',
    folders: ['interaction', 'testdata'],
    createDriver: () => {
      const environment = new Environment()
      return (directive) => environment.handle(directive)
    },
  },
  { name: 'quorum', folders: ['quorum/testdata', 'quorum'], createDriver: () => driveQuorum },
  {
    name: 'confchange',
    folders: ['confchange/testdata', 'confchange'],
    createDriver: createConfChangeDriver,
  },
]

/** The whole file as it would be written with our output in it, and as it is. */
function replay(path: string, drive: Driver): { actual: string; expected: string } {
  let actual = ''
  let expected = ''
  for (const directive of parseScenario(readFileSync(path, 'utf8'))) {
    const head = `line ${directive.line}: ${directive.command}\n`
    actual += head + closeLine(drive(directive))
    expected += head + directive.expected
  }
  return { actual, expected }
}

/** The scenarios are not part of this project; where they are missing, the report says so. */
function reportMissing(run: TestContext, where: string): void {
  run.skip(`no scenarios at ${where}`)
}

describe('etcd/raft scenarios', () => {
  if (!existsSync(folder)) {
    it('replays them', (run) => reportMissing(run, `CONFORMANCE_DIR (${folder})`))
    return
  }
  for (const { name, folders, createDriver } of groups) {
    const found = folders.map((each) => join(folder, each)).find((each) => existsSync(each))
    if (found === undefined) {
      it(name, (run) => reportMissing(run, folders.join(' or ')))
      continue
    }
    const files = readdirSync(found).filter((each) => each.endsWith('.txt'))
    it(`${name} has scenarios`, () => assert.ok(files.length > 0))
    for (const file of files) {
      it(`${name}/${file}`, () => {
        const { actual, expected } = replay(join(found, file), createDriver())
        assert.equal(actual, expected)
      })
    }
  }
})
