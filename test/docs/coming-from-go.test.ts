/** docs/coming-from-go.md leaves nothing of the original out, and names only what is here. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { isNode, nameOf, parseSource, type SyntaxNode, walk } from '../tidy/source.ts'
import { readCodeSpans, readPage, readTables, root } from './pages.ts'

const rows = readTables(readPage('docs/coming-from-go.md')).flat()

/** What a program written for the original names. */
const originals = `
  NodeID DataDir Bind Advertise Bootstrap Join Recover JoinAs Consistency HeartbeatTimeout
  ElectionTimeout ApplyTimeout SnapshotInterval SnapshotThreshold MaxPool SQLiteReadConns
  BatchWindow BatchMaxSize UnsafeNoRaftLogFsync TLSConfig LogOutput OnApply Backup DB OpenDB
  ExecMulti Migrate IsLeader LeaderAddr LeaderID Nodes Stats Metrics Version FormatStatus
  WaitForLeader AddVoter AddNonvoter DemoteVoter RemoveNode TransferLeadership NewHandlerKey
  RegisterHandler Forward Do TryClaim Commit Release HasExistingState WipeLocalState ErrNoLeader
  ErrNonDeterministicSQL ErrUnsupportedFormatVersion ErrTxResultPending none lease weak strong
  random randomblob last_insert_rowid changes total_changes jobs lan fly backup basic bench
`

/** Everything that this package offers, in the notation of the page. */
function listOffers(): Set<string> {
  const offers = new Set<string>()
  const errors = readFileSync(`${root}src/base/errors.ts`, 'utf8')
  for (const [, code = ''] of errors.matchAll(/\| '(ERR_[A-Z_]+)'/g)) offers.add(code)
  for (const name of readdirSync(`${root}src/node`)) {
    const path = `src/node/${name}`
    const tree = parseSource({ path, text: readFileSync(root + path, 'utf8') })
    walk(tree, (node) => addMembers(node, offers))
  }
  const index = { path: 'src/index.ts', text: readFileSync(`${root}src/index.ts`, 'utf8') }
  walk(parseSource(index), (node) => {
    const name = node.type === 'ExportSpecifier' ? nameOf(node['exported']) : undefined
    if (name !== undefined) offers.add(`import: ${name}`)
  })
  return offers
}

/** Where the members of each kind are declared. */
const declarations: Readonly<Record<string, (name: string) => string>> = {
  OpenOptions: (name) => `open: ${name}`,
  NodeEvents: (name) => `event: ${name}`,
  ColmenaNode: (name) => `node.${name}`,
  Database: (name) => `db.${name}`,
}

function addMembers(node: SyntaxNode, offers: Set<string>): void {
  if (node.type !== 'TSInterfaceDeclaration' && node.type !== 'ClassDeclaration') return
  const format = declarations[nameOf(node['id']) ?? '']
  if (format === undefined || !isNode(node['body'])) return
  for (const member of node['body']['body'] as SyntaxNode[]) {
    const name = nameOf(member['key'])
    if (name === undefined) continue
    const isMethod = /Method/.test(member.type) && (member['kind'] ?? 'method') === 'method'
    offers.add(format(name) + (isMethod ? '()' : ''))
  }
}

function readNames(cell: string | undefined): string[] {
  const notation = /^(open|event|import): \w+$|^(node|db)\.\w+(\(\))?$|^ERR_[A-Z_]+$/
  return readCodeSpans(cell ?? '').filter((code) => notation.test(code))
}

describe('docs/coming-from-go.md', () => {
  const offers = listOffers()

  it('finds what the package offers', () => {
    const seen = ['open: bind', 'event: applied', 'node.status()', 'db.batch()', 'import: open']
    assert.deepEqual(
      seen.filter((name) => !offers.has(name)),
      [],
    )
  })

  it('has a row for everything of the original', () => {
    const words = new Set(rows.flatMap(([original = '']) => original.match(/\w+/g) ?? []))
    const missing = originals.match(/\w+/g)?.filter((name) => !words.has(name))
    assert.deepEqual(missing, [])
  })

  it('names only what exists in the column "here"', () => {
    const missing = rows
      .flatMap(([, , here]) => readNames(here))
      .filter((name) => !offers.has(name))
    assert.deepEqual(missing, [])
  })

  it('names only what does not exist yet in the last column', () => {
    const found = rows
      .flatMap(([, , , later]) => readNames(later))
      .filter((name) => offers.has(name))
    assert.deepEqual(found, [])
  })

  it('says something in every row', () => {
    for (const [original = '', , here = '', later = ''] of rows) {
      assert.ok(original !== '' && here + later !== '', `nothing is said of ${original}`)
      if (later !== '') assert.match(later, /^(not yet|gone)/, original)
    }
  })
})
