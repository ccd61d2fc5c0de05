/** Each rule is shown files that break it and files that keep it: one that can't fail is none. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkCircles, checkDeadFiles, checkLayers, checkPages } from './layers.ts'
import { checkLock } from './lock.ts'
import { checkAmbient, checkBuiltins, checkPlatform, checkPromises } from './purity.ts'
import type { ProjectFile, Violation } from './source.ts'
import {
  checkColumns,
  checkDefaultExports,
  checkFileLengths,
  checkFlags,
  checkForeignWords,
  checkFunctionLengths,
  checkSleeps,
  checkTestMarks,
} from './text.ts'

type Rule = (files: readonly ProjectFile[]) => Violation[]

/** Sources by path, as one rule is to see them. */
type Sources = Readonly<Record<string, string>>

function run(rule: Rule, sources: Sources): string[] {
  const files = Object.entries(sources).map(([path, text]) => ({ path, text }))
  return rule(files).map(({ path, line, message }) => `${path}:${line} ${message}`)
}

/** `breaks` must each be reported, with words that match; `keeps` must pass together. */
function describeRule(rule: Rule, breaks: readonly [RegExp, Sources][], keeps: Sources): void {
  describe(rule.name, () => {
    for (const [expected, sources] of breaks) {
      it(`reports ${expected.source}`, () => {
        const reported = run(rule, sources)
        assert.ok(
          reported.some((line) => expected.test(line)),
          `expected ${expected}, got ${JSON.stringify(reported)}`,
        )
      })
    }
    it('lets good files pass', () => assert.deepEqual(run(rule, keeps), []))
  })
}

const line = (text: string, count: number): string => `${text}\n`.repeat(count)

describeRule(
  checkLayers,
  [
    [/log\.ts:1 imports go down/, { 'src/log/log.ts': "import { a } from '../engine/engine.ts'" }],
    [/imports go down/, { 'src/log/log.ts': "import { a } from '../database/database.ts'" }],
    [/imports go down/, { 'src/engine/loop.ts': "import type { A } from '../node/node.ts'" }],
    [/imports go down/, { 'src/log/log.ts': "export * from '../engine/engine.ts'" }],
    [/imports go down/, { 'src/log/log.ts': "type A = import('../engine/engine.ts').A" }],
    [/imports go down/, { 'src/log/log.ts': "const a = import('../engine/engine.ts')" }],
    [/by its door log\/log\.ts/, { 'src/engine/a.ts': "import { a } from '../log/segment.ts'" }],
    [/raft\/ imports nothing/, { 'src/raft/raft.ts': "import { a } from '../base/assert.ts'" }],
    [/past src\/index\.ts/, { 'src/jobs/jobs.ts': "import { a } from '../node/node.ts'" }],
    [/leaves src/, { 'src/log/log.ts': "import { a } from '../../test/a.ts'" }],
    [/in no layer/, { 'src/utils/utils.ts': '' }],
  ],
  {
    'src/raft/raft.ts': "import type { Entry } from './types.ts'",
    'src/log/log.ts': "import { a } from '../base/bytes.ts'\nimport './segment.ts'",
    'src/engine/loop.ts': "import type { Entry } from '../raft/types.ts'\nimport '../log/log.ts'",
    'src/engine/thread.ts': "import { a } from '../log/real-disk.ts'",
    'src/node/node.ts': "import { a } from '../engine/engine.ts'",
    'src/node/start.ts': "new URL('../engine/thread.ts', import.meta.url)",
    'src/jobs/jobs.ts': "import { open } from '../index.ts'",
    'test/log/log.test.ts': "import { a } from '../../src/log/segment.ts'",
  },
)

describeRule(
  checkCircles,
  [
    [
      /circle: src\/a\/a\.ts > src\/a\/b\.ts > src\/a\/a\.ts/,
      { 'src/a/a.ts': "import './b.ts'", 'src/a/b.ts': "import type { A } from './a.ts'" },
    ],
    [/circle/, { 'src/a/a.ts': "export * from './a.ts'" }],
  ],
  {
    'src/a/a.ts': "import './b.ts'\nimport './c.ts'",
    'src/a/b.ts': "import './c.ts'",
    'src/a/c.ts': '',
  },
)

const manifest = '{ "exports": { ".": "./dist/index.js" } }'
describeRule(
  checkDeadFiles,
  [
    [
      /src\/log\/old\.ts:1 nothing leads here/,
      { 'package.json': manifest, 'src/index.ts': '', 'src/log/old.ts': '' },
    ],
    [
      /src\/log\/a\.ts:1 nothing/,
      { 'src/index.ts': '', 'src/log/a.ts': "import './b.ts'", 'src/log/b.ts': '' },
    ],
  ],
  {
    'package.json': manifest,
    'src/index.ts': "export { a } from './node/node.ts'",
    'src/node/node.ts': "import type { B } from './types.ts'",
    'src/node/types.ts': '',
    'src/engine/thread.ts': "import './loop.ts'",
    'src/engine/loop.ts': '',
    'src/node/reader-process.ts': '',
  },
)

describeRule(
  checkPages,
  [
    [/web\/ imports types of/, { 'web/demo/a.tsx': "import { a } from '../../src/index.ts'" }],
    [/web\/ imports types/, { 'web/a.ts': "import type { A } from '../src/raft/raft.ts'" }],
  ],
  {
    'web/demo/a.tsx': "import type { A } from '../../src/demo/protocol.ts'\nimport './a.css'",
    'web/cluster/a.ts': "import type { A } from '../../src/index.ts'\nimport '../shared/b.ts'",
    'web/jobs/a.ts': "import type { JobInfo } from '../../src/jobs/jobs.ts'",
  },
)

describeRule(
  checkAmbient,
  [
    [/raft\.ts:2 Date in raft/, { 'src/raft/raft.ts': '\nconst at = Date.now()' }],
    [/Date/, { 'src/log/log.ts': 'const at = new Date()' }],
    [/Math\.random/, { 'src/engine/loop.ts': 'const r = Math.random()' }],
    [/performance/, { 'src/engine/loop.ts': 'const r = performance.now()' }],
    [/setTimeout/, { 'src/engine/loop.ts': 'setTimeout(go, 1)' }],
    [/setInterval/, { 'src/engine/loop.ts': 'const every = setInterval' }],
    [/setImmediate/, { 'src/database/apply.ts': 'setImmediate(go)' }],
    [/process/, { 'src/command/write.ts': 'const at = process.hrtime()' }],
    [/process/, { 'src/command/write.ts': 'const all = { process }' }],
    [/crypto/, { 'src/command/write.ts': 'crypto.getRandomValues(bytes)' }],
    [/globalThis/, { 'src/raft/raft.ts': "globalThis['Da' + 'te'].now()" }],
  ],
  {
    'src/raft/raft.ts':
      'const b = { process: 1 }.process\nclass A { performance = 1; #process() {} }',
    'src/command/value.ts': 'const is = (v: string | Date) => v instanceof Date',
    'src/log/real-disk.ts': 'setTimeout(go, 1)',
    'src/engine/thread.ts': 'process.exit(1)',
    'src/node/node.ts': 'Date.now()',
    'test/engine/loop.test.ts': 'Date.now()',
  },
)

describeRule(
  checkPromises,
  [
    [/loop\.ts:1 a promise in engine/, { 'src/engine/loop.ts': 'async function go() {}' }],
    [/promise/, { 'src/log/log.ts': 'const go = async () => 1' }],
    [/promise/, { 'src/log/log.ts': 'class Log { async append() {} }' }],
    [/promise/, { 'src/raft/raft.ts': 'const done: Promise<void> = go()' }],
    [/promise/, { 'src/engine/loop.ts': 'const done = Promise.resolve()' }],
  ],
  {
    'src/log/real-disk.ts': 'async function sync() {}',
    'src/engine/engine-thread.ts': 'await start()',
    'src/engine/loop.ts': 'function go(done: (error: Error | null) => void) { done(null) }',
    'src/node/node.ts': 'async function open() {}',
  },
)

describeRule(
  checkPlatform,
  [
    [/process.platform only in/, { 'src/node/a.ts': "if (process.platform === 'win32') go()" }],
    [/process.platform only in/, { 'src/log/log.ts': 'switch (process.platform) {}' }],
  ],
  {
    'src/log/real-disk.ts': "if (process.platform === 'win32') go()",
    'test/log/a.ts': "if (process.platform === 'win32') go()",
  },
)

describeRule(
  checkBuiltins,
  [
    [/raft\/ imports nothing/, { 'src/raft/raft.ts': "import { crc32 } from 'node:zlib'" }],
    [/node:fs only in/, { 'src/log/segment.ts': "import { openSync } from 'node:fs'" }],
    [/node:fs only in/, { 'src/node/node.ts': "import { open } from 'node:fs/promises'" }],
    [/node:fs only in/, { 'src/node/node.ts': "const fs = await import('node:fs')" }],
    [/node:crypto in engine/, { 'src/engine/loop.ts': "import { hash } from 'node:crypto'" }],
    [/left-pad in command/, { 'src/command/write.ts': "import { pad } from 'left-pad'" }],
    [/getBuiltinModule/, { 'src/sqlite/sqlite.ts': "import { backup } from 'node:sqlite'" }],
    [/only src\/sqlite/, { 'src/node/a.ts': "process.getBuiltinModule('node:sqlite')" }],
  ],
  {
    'src/log/real-disk.ts': "import { open } from 'node:fs'",
    'src/log/record.ts': "import { crc32 } from 'node:zlib'",
    'src/transport/link.ts': "import { connect } from 'node:net'",
    'src/sqlite/sqlite.ts': "import type { DatabaseSync } from 'node:sqlite'",
    'src/sqlite/open.ts': "const sqlite = process.getBuiltinModule('node:sqlite')",
  },
)

describeRule(
  checkFileLengths,
  [
    [/401 lines, at most 400/, { 'src/log/log.ts': line('a()', 401) }],
    [/401 lines, at most 400/, { 'web/demo/demo.css': line('a {}', 401) }],
    [/601 lines, at most 600/, { 'test/log/log.test.ts': line('a()', 601) }],
    [/README\.md:150 /, { 'README.md': line('word', 150) }],
    [/ARCHITECTURE\.md:131 /, { 'ARCHITECTURE.md': line('word', 131) }],
  ],
  {
    'src/log/log.ts': line('a()', 400),
    'README.md': line('word', 149),
    'package-lock.json': line('{}', 2000),
  },
)

describeRule(
  checkColumns,
  [
    [/log\.ts:2 101 columns/, { 'src/log/log.ts': `a()\n// ${'x'.repeat(98)}` }],
    [/demo\.html:1 101 columns/, { 'web/demo.html': 'x'.repeat(101) }],
  ],
  { 'src/log/log.ts': `// ${'…'.repeat(97)}`, 'README.md': 'x'.repeat(300) },
)

describeRule(
  checkFunctionLengths,
  [
    [/a function of 71 lines/, { 'src/a.ts': `function a() {\n${line('b()', 69)}}` }],
    [/a function of 71 lines/, { 'src/a.ts': `const a = () => {\n${line('b()', 69)}}` }],
    [/a function of 71 lines/, { 'web/a.tsx': `const a = () => {\n${line('<b />;', 69)}}` }],
    [/a function of 71 lines/, { 'src/a.ts': `class A { b() {\n${line('b()', 69)}} }` }],
    [/a function of 71 lines/, { 'src/a.ts': `class A { #b() {\n${line('b()', 69)}} }` }],
  ],
  {
    'src/a.ts': `function a() {\n${line('b()', 68)}}`,
    'test/a.test.ts': `describe('a', () => {\n${line('b()', 300)}})`,
  },
)

const byDefault = '\nexport default 1'
describeRule(
  checkDefaultExports,
  [
    [/by name/, { 'src/a.ts': byDefault }],
    [/by name/, { 'web/a.tsx': byDefault }],
  ],
  {
    'src/a.ts': 'export const a = 1',
    'vite.config.ts': 'export default {}',
  },
)

describeRule(
  checkForeignWords,
  [
    [/README\.md:1 a machine's path/, { 'README.md': `see ${['', 'work', 'main'].join('/')}` }],
    [/a machine's path/, { 'src/a.ts': `const a = '${['', 'root', 'x'].join('/')}'` }],
    [/a registry/, { 'package-lock.json': ['https://registry', 'npmjs', 'org'].join('.') }],
    [/was fetched from/, { 'package-lock.json': `  ${'"resolv'}${'ed": "x"'}` }],
    [/outside the project/, { 'src/a.ts': `// ${'haz'}${'ard 12'}` }],
    [/outside the project/, { 'src/a.ts': `// ${'haz'}${'ards.md'}` }],
  ],
  {
    'README.md': 'work/ is root work at .github/workflows/a, test/work and /worker are fine',
    'package-lock.json': `  ${'"resolv'}${'ed": "test/a/b", "link": true'}`,
  },
)

describeRule(
  checkTestMarks,
  [
    [/marked "only"/, { 'test/a.test.ts': "it.only('a', () => {})" }],
    [/marked "skip"/, { 'test/a.test.ts': "describe.skip('a', () => {})" }],
    [/marked "skip"/, { 'test/a.test.ts': "it('a', { skip: true }, () => {})" }],
    [/marked "todo"/, { 'test/a.test.ts': "it('a', (t) => { t.todo() })" }],
  ],
  { 'test/a.test.ts': "it('a', { timeout: 1 }, () => reader.skip(4))" },
)

describeRule(
  checkFlags,
  [[/taken for a flag/, { 'src/log/a.ts': 'const isOn = reader.u8() === 1' }]],
  {
    'src/log/a.ts': [
      'const isOn = reader.flag()',
      "if (reader.u8() !== 1) throw new DecodeError('an unknown format')",
    ].join('\n'),
  },
)

describeRule(
  checkSleeps,
  [
    [/a sleep of 500 ms/, { 'test/a.test.ts': 'await setTimeout(500)' }],
    [/a sleep of 1000 ms/, { 'test/a.test.ts': 'await timers.setTimeout(1_000)' }],
    [/a sleep of 200 ms/, { 'test/a.test.ts': 'await new Promise((r) => setTimeout(r, 200))' }],
    [/a sleep of 200 ms/, { 'test/a.test.ts': 'await new Promise((r) => { setTimeout(r, 200) })' }],
  ],
  {
    'test/a.test.ts': [
      'await setTimeout(10)',
      "await new Promise((_, reject) => setTimeout(reject, 5000, new Error('deadline')))",
      'await until(() => done, 5000)',
    ].join('\n'),
  },
)

const lock = (packages: object): Sources => ({ 'package-lock.json': JSON.stringify({ packages }) })

describeRule(
  checkLock,
  [
    [/b of the project is missing/, lock({ '': { dependencies: { b: '1' } } })],
    [
      /c-win32 of node_modules\/b is missing/,
      lock({ '': {}, 'node_modules/b': { optionalDependencies: { 'c-win32': '1' } } }),
    ],
  ],
  lock({
    '': { dependencies: { b: '1' } },
    'node_modules/b': { dependencies: { '@x/c': '1', d: '1' } },
    'node_modules/@x/c': { dependencies: { d: '1' } },
    'node_modules/b/node_modules/d': {},
    'node_modules/d': {},
  }),
)
