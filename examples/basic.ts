/**
 * A shell on a replicated database. In three terminals:
 *
 *   npx node examples/basic.ts a 127.0.0.1:9001 bootstrap
 *   npx node examples/basic.ts b 127.0.0.1:9002 127.0.0.1:9001
 *   npx node examples/basic.ts c 127.0.0.1:9003 127.0.0.1:9001
 *
 * SQL that is typed in any of them is seen in all. `.status`, `.members` and `.quit` do what they
 * say. Started again, a node finds its data in data/<name> and goes on.
 */
import { createInterface } from 'node:readline/promises'
import { ColmenaError, type ColmenaNode, type Database, open } from '../src/index.ts'

const USAGE =
  'usage: npx node examples/basic.ts <name> <host:port> bootstrap | <host:port of another>'

async function main([nodeId, bind, how]: readonly string[]): Promise<void> {
  if (nodeId === undefined || bind === undefined || how === undefined) {
    console.error(USAGE)
    process.exitCode = 2
    return
  }
  const begin = how === 'bootstrap' ? { bootstrap: true } : { join: how }
  await using node = await open({ nodeId, bind, dataDir: `data/${nodeId}`, ...begin })
  node.on('leader', ({ id }) => {
    if (id !== null) console.log(`(${id} leads)`)
  })
  node.on('warning', ({ message }) => console.log(`(${message})`))
  console.log(`${nodeId} listens on ${node.address}. Type SQL, .status, .members or .quit`)
  await answerLines(node)
}

async function answerLines(node: ColmenaNode): Promise<void> {
  const db = node.database()
  const lines = createInterface({ input: process.stdin, output: process.stdout })
  // Ctrl-C is a way to leave, too: the node closes and hands leadership over.
  lines.on('SIGINT', () => lines.close())
  node.once('closed', () => lines.close())
  let isOpen = true
  lines.once('close', () => {
    isOpen = false
  })
  lines.setPrompt(`${node.nodeId}> `)
  lines.prompt()
  for await (const line of lines) {
    const text = line.trim()
    if (text === '.quit') break
    try {
      await answerLine(node, db, text)
    } catch (error) {
      if (!(error instanceof ColmenaError)) throw error
      console.error(`${error.code}: ${error.message}`)
    }
    if (isOpen) lines.prompt()
  }
  lines.close()
}

async function answerLine(node: ColmenaNode, db: Database, text: string): Promise<void> {
  if (text === '') return
  if (text === '.status') {
    console.log(await node.status())
  } else if (text === '.members') {
    console.table(await node.members(), ['nodeId', 'address', 'role', 'isLeader', 'lastContactMs'])
  } else if (text.startsWith('.')) {
    console.log('known are .status, .members and .quit; everything else is SQL')
  } else {
    const { columns, rows, rowsAffected } = await db.execute(text)
    if (columns.length > 0) console.table(rows.map((row) => ({ ...row })))
    console.log(columns.length > 0 ? `${rows.length} rows` : `${rowsAffected} rows affected`)
  }
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof ColmenaError)) throw error
  console.error(`${error.code}: ${error.message}`)
  process.exitCode = 1
}
