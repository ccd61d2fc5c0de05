import { type Command, Option } from 'commander'
import { flagOf, SETTINGS, variableOf } from './serve-settings.ts'

export function addServe(program: Command): void {
  const command = program.command('serve').description('runs a node and its HTTP server')
  for (const setting of SETTINGS) command.addOption(new Option(flagOf(setting), setting.help))
  command
    .option('--config <file>', 'JSON with the same settings, such as { "dataDir": "./data" }')
    .addHelpText('after', HELP)
    .action(async (flags) => {
      // Only now: node and server take longer to load than most commands take to answer.
      const { runServe } = await import('./serve-node.ts')
      await runServe(flags)
    })
}

const HELP = `
A flag wins over the environment (${variableOf('dataDir')} for --data-dir), and that over the file
of --config (or COLMENA_CONFIG). Several values of one setting: with commas, or the flag again.
SIGHUP reads the files of secrets and certificates again, and they hold at once.

Examples:
  colmena serve                                         a node of its own, at http://127.0.0.1:8080
  colmena serve --node-id a --bind 10.0.0.1:9000 --bootstrap --secret-file ./secret
  colmena serve --node-id b --bind 10.0.0.2:9000 --join 10.0.0.1:9000 --secret-file ./secret`
