/**
 * The `colmena` command: runs a node with its HTTP server, asks running ones, and moves data in and
 * out. Promises one sentence for each failure, exit code 1 for what failed and 2 for a wrong call,
 * and output without colours, so that it is the same in a file. It talks to nodes as any client
 * would, over HTTP; only `serve` and `demo` open nodes of their own.
 */
import { createRequire } from 'node:module'
import { Command, CommanderError } from 'commander'
import { addCommands } from './commands.ts'
import { CliError, sentenceOf } from './failure.ts'
import { Output } from './output.ts'
import { escapeControls } from './table.ts'

/** Runs the command; answers its exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const program = createProgram()
  const output = new Output()
  try {
    await program.parseAsync([...argv])
    await output.flushed()
    return 0
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version are no failures; what is one, commander has said already.
      return error.exitCode === 0 ? 0 : 2
    }
    process.stderr.write(`${escapeControls(sentenceOf(error))}\n`)
    return error instanceof CliError ? error.exitCode : 1
  }
}

function createProgram(): Command {
  const program = new Command('colmena')
    .description('Replicated SQLite inside your Node.js process: the command for its clusters.')
    .version(packageVersion())
    .showSuggestionAfterError()
    .showHelpAfterError("('colmena --help' has an example of each command)")
    .configureHelp({ sortSubcommands: false })
    .exitOverride()
  addCommands(program)
  for (const command of program.commands) command.exitOverride().copyInheritedSettings(program)
  return program
}

function packageVersion(): string {
  // Sources and build both lie two folders below the package's own.
  const require = createRequire(import.meta.url)
  return (require('../../package.json') as { readonly version: string }).version
}
