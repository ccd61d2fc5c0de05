import { LEASED_LIVES, LIVES, type Mutation } from './mutation.ts'

/** What must be durable, in which order, before others hear of it. */
const saving: readonly Mutation[] = [
  {
    id: 'own-ack-before-durable',
    bug: 'A leader counts its own entries before they are durable.',
    file: 'src/engine/saving.ts',
    text: '    this.#options.log.append({ entries, hardState',
    replacement:
      '    for (const one of responses) if (one.to === this.#options.raft.id) ' +
      'this.#options.raft.step(one)\n' +
      '    this.#options.log.append({ entries, hardState',
    breaks: ['L12'],
    caughtBy: LIVES,
  },
  {
    id: 'answers-before-write',
    bug: 'All that waits for the disk leaves when the write begins.',
    file: 'src/engine/saving.ts',
    text: '      this.#saved.push({ mark, responses })\n      this.#next()\n    })',
    replacement: '    })\n    this.#saved.push({ mark, responses })\n    this.#next()',
    breaks: ['E1', 'L14'],
    caughtBy: LIVES,
  },
  {
    id: 'entries-pass-snapshot',
    bug: 'Entries behind a snapshot are told to be stored while its databases are on their way.',
    file: 'src/engine/saving.ts',
    text: 'while (!this.#isInstalling) {',
    replacement: 'for (;;) {',
    breaks: ['S1', 'S6'],
    caughtBy: LIVES,
  },
  {
    id: 'log-cut-before-databases-durable',
    bug: 'The log is shortened before the databases hold durably what it had.',
    file: 'src/engine/compaction.ts',
    text: '    applier.makeDurable(applied(), (error, durable) => {',
    replacement:
      '    const skip = (done: (error: Error | null, durable: number) => void) => ' +
      'done(null, applied())\n' +
      '    skip((error, durable) => {',
    breaks: ['D9', 'H15'],
    caughtBy: LIVES,
  },
  {
    id: 'log-cut-below-taker',
    bug: 'The log is shortened though a snapshot on its way needs what comes after it.',
    file: 'src/engine/compaction.ts',
    text: 'log.compact(Math.min(wanted, durable, needed)',
    replacement: 'log.compact(Math.min(wanted, durable)',
    breaks: ['S10'],
    caughtBy: { tests: ['test/engine/snapshots.test.ts', 'test/engine/compaction.test.ts'] },
  },
  {
    id: 'old-commit-at-start',
    bug: 'A node starts with the commit index of its disk, which its databases may be ahead of.',
    file: 'src/raft/raft.ts',
    text: 'Math.max(hardState.commit, appliedIndex, core.log.committed)',
    replacement: 'Math.max(hardState.commit, core.log.committed)',
    breaks: ['S9', 'H11'],
    caughtBy: { tests: ['test/raft/snapshots.test.ts'] },
  },
  {
    id: 'starts-from-highest-applied',
    bug: 'A node goes on from the database that is furthest, and skips entries of the others.',
    file: 'src/engine/assembly.ts',
    text: 'raftConfig(config, storage, replica.applied, ports.random)',
    replacement: 'raftConfig(config, storage, replica.highestApplied, ports.random)',
    breaks: ['D7', 'H11'],
    caughtBy: LIVES,
  },
  {
    id: 'lost-log-unnoticed',
    bug: 'Databases that are ahead of the log are refused only if they are behind it as well.',
    file: 'src/engine/engine.ts',
    text: 'if (state.highestApplied > log.lastIndex || state.applied',
    replacement: 'if (state.highestApplied > log.lastIndex && state.applied',
    breaks: ['D11', 'H11'],
    caughtBy: { tests: ['test/node/lost-log.test.ts'] },
  },
]

/** Commands on their way into the log. */
const commands: readonly Mutation[] = [
  {
    id: 'sent-write-given-up',
    bug: 'A write that may be in a log is told to be given up when there is no leader for long.',
    file: 'src/engine/outbox.ts',
    text: 'if (command.wasSent || command.sinceMs > oldestMs) continue',
    replacement: 'if (command.sinceMs > oldestMs) continue',
    breaks: ['L19', 'H1'],
    caughtBy: LIVES,
  },
  {
    id: 'given-up-write-still-sent',
    bug: 'A write that was told to be given up is sent all the same when a leader is there.',
    file: 'src/engine/outbox.ts',
    text: '    command.bytes = encodeEmptyWrite(decodeWriteHeader(command.bytes))\n',
    replacement: '',
    breaks: ['L19', 'H1'],
    caughtBy: LIVES,
  },
  {
    id: 'overdue-not-repeated',
    bug: 'What was sent and is not applied for long is never sent again.',
    file: 'src/engine/outbox.ts',
    text: '      lane.tries += 1\n      restart(lane, 0)',
    replacement: '      lane.tries += 1',
    breaks: ['L19', 'H1'],
    caughtBy: { tests: ['test/engine/outbox.test.ts'] },
  },
  {
    id: 'applied-by-count',
    bug: 'An answer settles one command, though it may speak of several.',
    file: 'src/engine/outbox.ts',
    text: 'const count = sequence - first.sequence + 1',
    replacement: 'const count = 1',
    breaks: ['L20', 'H1'],
    caughtBy: { tests: ['test/engine/outbox.test.ts'] },
  },
]

/** Reads, and how old what a node has may be. */
const reads: readonly Mutation[] = [
  {
    id: 'age-from-receipt',
    bug: "The age of a node's state counts from when the leader's word came.",
    file: 'src/engine/freshness.ts',
    text: '    this.#mark({ index, atMs, wallMs })\n    skew.compared',
    replacement:
      '    this.#mark({ index, atMs: Math.floor(clock.nowMs()), wallMs })\n    skew.compared',
    breaks: ['H13'],
    caughtBy: LIVES,
  },
  {
    id: 'age-round-takes-later-stamps',
    bug: 'A round confirms the times that came while it was under way, too.',
    file: 'src/engine/freshness.ts',
    text: 'const stamps = new Map(this.#stamps).set(raft.id, this.#stamp())',
    replacement: 'const stamps = this.#stamps.set(raft.id, this.#stamp())',
    breaks: ['H13'],
    caughtBy: LIVES,
  },
  {
    id: 'age-without-quorum',
    bug: 'A leader tells members how old their state is without asking whether it still leads.',
    file: 'src/engine/freshness.ts',
    text:
      "    if (raft.readIndex(encodeNumbers(this.#run, round)) === 'ok') " +
      'this.#rounds.set(round, stamps)',
    replacement: '    this.#confirmed(stamps, raft.commit)',
    breaks: ['H13'],
    caughtBy: LIVES,
  },
  {
    id: 'lease-from-answer',
    bug: 'A lease counts from when the promise came instead of from when it was asked for.',
    file: 'src/engine/vote-promises.ts',
    text: '    const until = after(asked, promiseMs)',
    replacement:
      '    const { clock } = this.#options\n' +
      '    const until = after({ atMs: clock.nowMs(), wallMs: clock.wallMs() }, promiseMs)',
    breaks: ['R3', 'R4'],
    caughtBy: { tests: ['test/engine/vote-promises.test.ts'] },
  },
  {
    id: 'lease-without-drift',
    bug: 'A lease allows for no difference between the speeds of two clocks.',
    file: 'src/engine/vote-promises.ts',
    text: 'promiseMs * (1 - DRIFT_MAX) - MARGIN_MS',
    replacement: 'promiseMs - MARGIN_MS',
    breaks: ['R3'],
    caughtBy: { tests: ['test/engine/vote-promises.test.ts'] },
  },
  {
    id: 'promise-forgotten-at-start',
    bug: 'A process that starts votes at once, whatever the one before it has promised.',
    file: 'src/engine/vote-promises.ts',
    text: 'options.clock.nowMs() + options.keptPromiseMs',
    replacement: 'options.clock.nowMs()',
    breaks: ['R5', 'R11'],
    caughtBy: LEASED_LIVES,
  },
  {
    id: 'promise-not-kept',
    bug: 'A member that forgot its leader votes for another one in spite of its promise.',
    file: 'src/raft/step.ts',
    text: 'if (isVoteRequest && (isInLease(core) || keepsVote(core)) && !isTransfer(message)) {',
    replacement: 'if (isVoteRequest && isInLease(core) && !isTransfer(message)) {',
    breaks: ['R5', 'R11'],
    caughtBy: LEASED_LIVES,
  },
  {
    id: 'promise-of-earlier-term',
    bug: 'A promise of an earlier term counts for the present one.',
    file: 'src/engine/vote-promises.ts',
    text: 'if (asked === undefined || this.#options.raft.term !== term) return',
    replacement: 'if (asked === undefined) return',
    breaks: ['R2', 'R5'],
    caughtBy: { tests: ['test/engine/vote-promises.test.ts'] },
  },
  {
    id: 'lease-not-checked-after',
    bug: 'A read by a lease looks at the clock before it reads, and not after.',
    file: 'src/node/own-leadership.ts',
    text: 'return this.heldCommit() !== null',
    replacement: 'return this.commit() !== null || this.#options.shared.readLeadership().isLeader',
    breaks: ['R3', 'R4'],
    caughtBy: { tests: ['test/node/read-levels.test.ts'] },
  },
  {
    id: 'lease-by-one-clock',
    bug: 'A lease goes by the clock that stands still while the machine sleeps, and by no other.',
    file: 'src/node/own-leadership.ts',
    text:
      'return leftMs > 0 && leftWallMs > 0 && leftWallMs - leftMs < electionTimeoutMs * ' +
      'APART_MAX',
    replacement: 'return leftMs > 0 && leftWallMs < electionTimeoutMs * 100',
    breaks: ['R12'],
    caughtBy: LEASED_LIVES,
  },
  {
    id: 'lease-before-own-commit',
    bug: 'A leader reads by its lease before it has committed in its own term.',
    file: 'src/raft/core.ts',
    text: "if (this.role !== 'leader' || !this.hasCommittedInTerm()) return false",
    replacement: "if (this.role !== 'leader') return false",
    breaks: ['R1', 'H12'],
    caughtBy: { tests: ['test/raft/promises.test.ts'] },
  },
  {
    id: 'lease-in-transfer',
    bug: 'A leader goes by its lease while it hands over, and after.',
    file: 'src/raft/core.ts',
    text: '    if (this.leaseRevoked || this.leadTransferee !== NO_MEMBER) return false\n',
    replacement: '',
    breaks: ['T6', 'R6'],
    caughtBy: { tests: ['test/raft/promises.test.ts'] },
  },
]

const skipping: readonly Mutation[] = [
  {
    id: 'skipped-though-applied',
    bug: 'An entry is skipped though a member has applied it.',
    file: 'src/engine/skipping.ts',
    text: "  if (reasons.length > 0) return reasons.join('; ')\n",
    replacement: '',
    breaks: ['H8'],
    caughtBy: { tests: ['test/engine/skipping.test.ts'] },
  },
  {
    id: 'released-though-decided',
    bug: 'Members go on to try an entry that an earlier question may yet make void.',
    file: 'src/engine/skipping.ts',
    text: '      if (isDecided) this.#awaitApplied(hold.index, reply)\n      else if',
    replacement: '      if',
    breaks: ['H8'],
    caughtBy: { tests: ['test/engine/skipping.test.ts'] },
  },
]

export const engine: readonly Mutation[] = [...saving, ...commands, ...reads, ...skipping]
