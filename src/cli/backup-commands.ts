import { type Command, Option } from 'commander'
import { example, remote } from './remote.ts'

const TARGET = 'a folder, or s3://bucket/prefix'

/** What looks at backups, and brings them back. What they load takes longer than help to print. */
export function addBackups(program: Command): void {
  const backup = program.command('backup').description('what is kept outside the cluster')
  backup.exitOverride()
  sealed(backup.command('list'))
    .argument('<target>', TARGET)
    .description('what there is to restore, and from when to when')
    .option('--json', 'as JSON, with each snapshot')
    .addHelpText('after', example('colmena backup list /mnt/backups/app'))
    .action(async (target, options) => {
      const { runBackupList } = await import('./backup.ts')
      await runBackupList(target, options)
    })
  sealed(backup.command('verify'))
    .argument('<target>', TARGET)
    .description('reads all of it, restores it for a try, and names what is damaged')
    .addOption(extensions())
    .option('--dir <folder>', 'where it restores, with room for all databases')
    .addHelpText('after', example('colmena backup verify s3://backups/app'))
    .action(async (target, options) => {
      const { runBackupVerify } = await import('./backup.ts')
      await runBackupVerify(target, options)
    })
  remote(backup.command('now'))
    .description('has a running cluster put there what it has applied by now')
    .option('--timeout-seconds <number>', 'how long to wait', '600')
    .addHelpText('after', example('colmena backup now --url http://10.0.0.1:8080'))
    .action(async (options) => {
      const { runBackupNow } = await import('./backup.ts')
      await runBackupNow(options)
    })
  addRestore(program)
}

function addRestore(program: Command): void {
  sealed(program.command('restore'))
    .argument('<target>', TARGET)
    .description('brings back what a backup has: a node, or a plain SQLite file')
    .option('--data-dir <folder>', 'of a node that begins a new cluster; it holds none yet')
    .option('--node-id <name>', 'with it: its name; made up without it')
    .option('--to-file <file>', 'in place of it: makes a file of one database')
    .option('--database <name>', 'with it: which (main)')
    .option('--to <time>', 'the last moment that counts, such as 2026-11-28T10:00:00Z')
    .option('--to-index <number>', 'the last entry that counts')
    .addOption(extensions())
    .addHelpText(
      'after',
      example('colmena restore /mnt/backups/app --data-dir ./data --to 2026-11-28T10:00:00Z'),
    )
    .action(async (target, options) => {
      const { runRestore } = await import('./restore.ts')
      await runRestore(target, options)
    })
}

function sealed(command: Command): Command {
  return command
    .option('--key-file <file>', 'of one that is encrypted: a line with the id of the key, and it')
    .exitOverride()
}

function extensions(): Option {
  return new Option('--extensions <value...>', 'of SQLite, as the nodes had: name@version=path')
}
