import { type Command, Option } from 'commander'
import { addBackups } from './backup-commands.ts'
import { runBench } from './bench.ts'
import { LEVELS } from './client.ts'
import { runDemoCommand } from './demo.ts'
import { runExec } from './exec.ts'
import { runExport } from './export.ts'
import { usageError } from './failure.ts'
import { runImport } from './import.ts'
import {
  JOB_STATES,
  runJob,
  runJobChange,
  runJobStats,
  runJobs,
  runSchedules,
  runTypeChange,
} from './jobs.ts'
import { runMemberAdd } from './member-add.ts'
import { runMemberChange, runMembers, runTransfer } from './members.ts'
import { clientOf, example, remote, URL_DEFAULT } from './remote.ts'
import { addServe } from './serve.ts'
import { variableOf } from './serve-settings.ts'
import { runShell } from './shell.ts'
import { runSkip } from './skip.ts'
import { runStatus } from './status.ts'

const JOB_COMMANDS = 'it is list, show, retry, cancel, run, pause, resume, stats or schedules'
const MEMBER_COMMANDS = 'it is list, add, promote, demote or remove'

/** Every command, in the order in which help lists them. */
export function addCommands(program: Command): void {
  addServe(program)
  addDemo(program)
  addQuestions(program)
  addShell(program)
  addData(program)
  addJobs(program)
  addMembers(program)
  addCertificates(program)
  addBackups(program)
  addRepairs(program)
}

function addDemo(program: Command): void {
  program
    .command('demo')
    .description('four nodes on this machine and a page that shows how they heal')
    .option('--port <number>', 'of the page; 0 for any that is free', '8080')
    .option(
      '--host <address>',
      'beyond 127.0.0.1 for others too: whoever reaches it can break the nodes',
    )
    .option('--data-dir <folder>', 'keeps what was written; by default nothing is kept')
    .option('--fly', 'one machine of a demo on Fly.io, as its environment says')
    .option('--agent-port <number>', 'with --fly: for the other machines', '9001')
    .option('--name <domains...>', 'with --fly: what else leads to the page', [])
    .addHelpText('after', example('colmena demo --port 9090'))
    .action(runDemoCommand)
}

function addQuestions(program: Command): void {
  remote(program.command('status'))
    .description('the members of a cluster, and how the asked node is')
    .option('--watch', 'again every second, until Ctrl-C')
    .option('--json', 'as JSON')
    .addHelpText('after', example('colmena status --url http://10.0.0.1:8080 --watch'))
    .action((options) => runStatus(clientOf(options), options))
  remote(program.command('exec'))
    .argument('<sql>', 'one statement')
    .argument('[args...]', 'for its ?, numbers as numbers, null as NULL, all else as text')
    .description('runs one statement')
    .option('--database <name>', 'on which', 'main')
    .option('--text', 'takes every argument as text')
    .addOption(new Option('--consistency <level>', 'of a read').choices(LEVELS))
    .option('--json', 'rows as JSON')
    .addHelpText(
      'after',
      example("colmena exec 'INSERT INTO visits (who, count) VALUES (?, ?)' Ada 3"),
    )
    .action((sql, args, options) => runExec(clientOf(options), sql, args, options))
}

function addData(program: Command): void {
  remote(program.command('import'))
    .argument('<file>', 'an SQLite file, a dump in SQL, or CSV')
    .description('brings a file into a running cluster; started again, it goes on')
    .option('--database <name>', 'into which', 'main')
    .addOption(new Option('--format <format>', 'of the file').choices(['sqlite', 'sql', 'csv']))
    .option('--table <name>', 'of a CSV file; its name by default')
    .option('--separator <character>', 'between the values of a CSV file; \\t is a tab', ',')
    .option('--replace', 'drops what is there already of what the file brings')
    .addHelpText('after', example('colmena import ./app.db --database app'))
    .action((path, options) => runImport(clientOf(options), path, options))
  remote(program.command('export'))
    .argument('<database>', 'its name')
    .argument('<file>', 'where to; - is standard output')
    .description('writes a database into a file, as it was at one moment')
    .option('--force', 'replaces the file if it is there')
    .addHelpText('after', example('colmena export main ./backup.db'))
    .action((database, path, options) => runExport(clientOf(options), database, path, options))
}

function addShell(program: Command): void {
  remote(program.command('shell'))
    .description('a prompt for SQL; statements from a pipe as well')
    .option('--database <name>', 'to begin with', 'main')
    .addHelpText('after', example('colmena shell --database app'))
    .action((options) => runShell(clientOf(options), options))
  program
    .command('bench')
    .description('writers and readers at running nodes')
    .addOption(
      new Option('--url <url...>', 'of the nodes').env('COLMENA_URL').default([URL_DEFAULT]),
    )
    .addOption(new Option('--token <token>', 'if the servers want one').env('COLMENA_TOKEN'))
    .option('--database <name>', 'where it makes a table, and drops it', 'main')
    .option('--writers <number>', 'that write one after the other', '16')
    .option('--readers <number>', 'that read one after the other', '16')
    .option('--statements <number>', 'of a write, which is one transaction', '1')
    .option('--seconds <number>', 'how long', '10')
    .addHelpText('after', example('colmena bench --writers 64 --readers 0 --seconds 5'))
    .action((options) => {
      const urls = [options.url].flat() as string[]
      return runBench(
        urls.map((url) => clientOf({ ...options, url })),
        options,
      )
    })
}

function addJobs(program: Command): void {
  const jobs = program.command('jobs').description('background jobs of the cluster')
  jobs.exitOverride()
  remote(jobs.command('list', { isDefault: true }))
    .description('jobs, the newest first (as without a word)')
    .addOption(new Option('--state <state>', 'in that state').choices(JOB_STATES))
    .option('--type <type>', 'of that type')
    .option('--tag <tag>', 'with that tag')
    .option('--search <text>', 'with that in their id, unique key, arguments or error')
    .option('--limit <number>', 'at most so many, up to 1000', '50')
    .option('--before <number>', 'those behind a page that was full, which says the number')
    .option('--json', 'as JSON')
    .allowExcessArguments()
    .addHelpText('after', example('colmena jobs list --state dead --type mail'))
    .action((options, list: Command) => {
      const [word] = list.args
      if (word !== undefined) throw usageError(`there is no 'jobs ${word}': ${JOB_COMMANDS}`)
      return runJobs(clientOf(options), options)
    })
  remote(jobs.command('show'))
    .argument('<id>', 'of a job')
    .description('a job, with the attempts that failed')
    .option('--json', 'as JSON')
    .addHelpText('after', example('colmena jobs show 0d9ab5f4-4d0c-4a34-8b6c-6d7c5b6b3f0a'))
    .action((id, options) => runJob(clientOf(options), id, options))
  addJobChanges(jobs)
  remote(jobs.command('stats'))
    .description('how many there are of each type, and what limits them')
    .option('--json', 'as JSON')
    .addHelpText('after', example('colmena jobs stats'))
    .action((options) => runJobStats(clientOf(options), options))
  remote(jobs.command('schedules'))
    .description('what makes jobs by the clock, and when next')
    .option('--json', 'as JSON')
    .addHelpText('after', example('colmena jobs schedules'))
    .action((options) => runSchedules(clientOf(options), options))
}

function addJobChanges(jobs: Command): void {
  const changes = [
    ['retry', 'runs one that is over without success again'],
    ['cancel', 'ends one that is not over; one that runs is told, and ends by itself'],
    ['run', 'runs one that waits for its time now'],
  ] as const
  for (const [change, description] of changes) {
    remote(jobs.command(change))
      .argument('<id>', 'of a job')
      .description(description)
      .addHelpText('after', example(`colmena jobs ${change} 0d9ab5f4-4d0c-4a34-8b6c-6d7c5b6b3f0a`))
      .action((id, options) => runJobChange(clientOf(options), change, id))
  }
  const typeChanges = [
    ['pause', 'lets none of a type begin, on any node; those that run go on'],
    ['resume', 'lets those of a type begin again'],
  ] as const
  for (const [change, description] of typeChanges) {
    remote(jobs.command(change))
      .argument('<type>', 'of jobs')
      .description(description)
      .addHelpText('after', example(`colmena jobs ${change} mail`))
      .action((type, options) => runTypeChange(clientOf(options), change, type))
  }
}

function addMembers(program: Command): void {
  const members = program.command('members').description('who belongs to the cluster')
  members.exitOverride()
  remote(members.command('list', { isDefault: true }))
    .description('the members (as without a word)')
    .option('--json', 'as JSON')
    .allowExcessArguments()
    .addHelpText('after', example('colmena members --url http://10.0.0.1:8080'))
    .action((options, list: Command) => {
      // A word that no command has comes here as well.
      const [word] = list.args
      if (word !== undefined) throw usageError(`there is no 'members ${word}': ${MEMBER_COMMANDS}`)
      return runMembers(clientOf(options), options)
    })
  remote(members.command('add'))
    .argument('<address>', 'HOST:PORT where the new node will be')
    .description('says what to run there, and waits until the node is level')
    .option('--node-id <name>', 'its name; made up without it')
    .option('--learner', 'as one that has no vote')
    .option('--timeout-seconds <number>', 'how long to wait', '600')
    .addHelpText('after', example('colmena members add 10.0.0.4:9000'))
    .action((address, options) => runMemberAdd(clientOf(options), address, options))
  const changes = [
    ['promote', 'lets a learner vote, once it has caught up and their number stays odd'],
    ['demote', 'takes the vote from a voter; it stays as a learner'],
    ['remove', 'takes a member out for good'],
  ] as const
  for (const [change, description] of changes) {
    remote(members.command(change))
      .argument('<node>', 'its node id')
      .description(description)
      .addHelpText('after', example(`colmena members ${change} node-3`))
      .action((nodeId, options) => runMemberChange(clientOf(options), change, nodeId))
  }
  remote(program.command('transfer-leadership'))
    .argument('[node]', 'to whom; the voter that is furthest by default')
    .description('makes another voter the leader')
    .addHelpText('after', example('colmena transfer-leadership node-2'))
    .action((nodeId, options) => runTransfer(clientOf(options), nodeId))
}

function addCertificates(program: Command): void {
  const ca = program.command('ca').description('certificates that nodes know each other by')
  ca.command('init')
    .description('makes a CA for one cluster: a certificate, and the key that signs')
    .option('--out <folder>', 'for ca.pem and ca-key.pem', '.')
    .option('--name <name>', 'of the CA', 'colmena CA')
    .option('--days <number>', 'how long it is good', '3650')
    .option('--force', 'replaces what is there')
    .addHelpText('after', example('colmena ca init --out ./ca --name shop'))
    .action(async (options) => {
      // Only now: what makes certificates takes longer to load than help to print.
      const { runCaInit } = await import('./ca.ts')
      await runCaInit(options)
    })
  ca.command('issue')
    .argument('<node>', 'its node id')
    .description('makes the certificate of one node, and its key')
    .option('--ca <folder>', 'with ca.pem and ca-key.pem', '.')
    .option('--out <folder>', 'for NODE.pem and NODE-key.pem', '.')
    .option('--address <host...>', 'more names and IP addresses, for clients over HTTPS')
    .option('--days <number>', 'how long it is good, within the days of the CA', '365')
    .option('--force', 'replaces what is there')
    .addHelpText('after', example('colmena ca issue node-1 --ca ./ca --address 10.0.0.1'))
    .action(async (nodeId, options) => {
      const { runCaIssue } = await import('./ca.ts')
      await runCaIssue(nodeId, options)
    })
}

function addRepairs(program: Command): void {
  remote(program.command('skip'))
    .argument('<index>', 'of the entry, as status().haltedReason has it')
    .description('skips an entry of the log that no member can apply')
    .option('--without <node...>', 'members that are gone for good, and come back with no files')
    .addHelpText('after', example('colmena skip 4711'))
    .action((index, options) => runSkip(clientOf(options), index, options.without))
  const dataDir = new Option('--data-dir <folder>', 'of the node, which must be stopped')
  program
    .command('recover')
    .description('makes one node a cluster of its own, if a majority is gone for good')
    .addOption(dataDir.env(variableOf('dataDir')).makeOptionMandatory())
    .option('--yes', 'does it; without it, and without a terminal to ask at, only says what')
    .addHelpText('after', example('colmena recover --data-dir ./data'))
    .action(async (options) => {
      // As `serve`: what opens files takes longer to load than most commands take to answer.
      const { runRecover } = await import('./recover.ts')
      await runRecover(options)
    })
}
