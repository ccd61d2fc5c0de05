import type { Mutation } from './mutation.ts'

/** A hole that a review found in the design, and the rule that closes it. */
export interface Hazard {
  readonly number: number
  /** What the rule comes to. */
  readonly rule: string
  /** Tests that hold the rule beside the mutations that name it: a file, and a name in it. */
  readonly tests?: readonly (readonly [file: string, name: string])[]
  /** Why there is no code yet that could be wrong. */
  readonly open?: string
}

const COURSES = 'test/simulated/courses.test.ts'

/** All of the design's hazards, by their numbers. */
export const hazards: readonly Hazard[] = [
  { number: 1, rule: 'a command applies only next in the sequence of a registered open' },
  { number: 2, rule: 'a transaction applies only on the state that it was tried on' },
  { number: 3, rule: 'where constraints are deferred, units share no transaction' },
  { number: 4, rule: 'only listed errors are answers; all others halt apply before the group' },
  { number: 5, rule: 'while engines differ, digests take in every row' },
  {
    number: 6,
    rule: 'a snapshot is one cut, and one record of the log makes it current',
    tests: [
      [
        'test/database/snapshot.test.ts',
        'a snapshot is one cut of all databases while entries go on',
      ],
    ],
  },
  {
    number: 7,
    rule: 'who differs is judged by a majority of voters, and copied to nobody',
    tests: [['test/processes/divergence.test.ts', 'hands leadership over first, if it leads']],
  },
  {
    number: 8,
    rule: 'an entry that killed the process twice is not tried again',
    tests: [
      [
        'test/processes/endless.test.ts',
        'a write that never ends is named, and can be left behind',
      ],
    ],
  },
  { number: 9, rule: 'nothing of what was rolled back stays in the connection' },
  { number: 10, rule: 'open reads have connections of their own, and a maximum age' },
  { number: 11, rule: 'what is applied is committed; only a log that ends before it is lost' },
  { number: 12, rule: 'nobody answers before a commit in its own term, and publishes first' },
  { number: 13, rule: "age counts from a node's own time before a confirmed round" },
  { number: 14, rule: 'idle databases hold no log back' },
  { number: 15, rule: 'the log is cut only below what the databases hold durably' },
  { number: 16, rule: 'writes do only what is on a list, prepared and running' },
  { number: 17, rule: "our own tables are out of statements' reach" },
  { number: 18, rule: 'the present gets into no index' },
  { number: 19, rule: 'what is known of a schema goes with the schema' },
  { number: 20, rule: 'without foreign keys runs one unit alone, and they are checked at its end' },
  { number: 21, rule: 'a deferred transaction writes only on the state that it read' },
  { number: 22, rule: 'rowid and change counts begin at 0 for each unit' },
  { number: 23, rule: 'one process has a data directory' },
  { number: 24, rule: 'what another program wrote is noticed before the next group' },
  { number: 25, rule: 'a backup knows engine and history', open: 'there are no backups yet' },
  { number: 26, rule: 'a Node.js is refused by trying its SQLite' },
  { number: 27, rule: 'the last rowid can not be used' },
  { number: 28, rule: 'each unit has a savepoint of its own' },
  {
    number: 29,
    rule: 'time never goes back, and whose clock is off does not lead',
    tests: [[COURSES, 'are led by nobody whose clock is a year ahead, once that is known']],
  },
  { number: 30, rule: 'a transaction ends at its limits' },
  { number: 31, rule: 'a node that is far behind takes no writes' },
  { number: 32, rule: 'changed rows are kept by what the database was made with' },
  { number: 33, rule: 'a dump runs as it was meant' },
  { number: 34, rule: 'relaxed durability forgets neither terms nor votes' },
  { number: 35, rule: 'a newer format waits for every member' },
  { number: 36, rule: 'promotion keeps the number of voters odd' },
  { number: 37, rule: 'secrets that can be guessed are refused' },
  {
    number: 38,
    rule: 'a node ends when one of its threads does',
    tests: [['test/processes/threads.test.ts', 'ends the node that its']],
  },
  { number: 39, rule: 'the level of a call wins over all others' },
]

/** The mutations that break the rule of a hazard. */
export function mutationsOf({ number }: Hazard, mutations: readonly Mutation[]): readonly string[] {
  return mutations.filter(({ breaks }) => breaks.includes(`H${number}`)).map(({ id }) => id)
}
