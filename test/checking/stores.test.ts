/** Stores that are right are found so, and stores that are wrong are found out. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkLinearizable } from './linearizability.ts'
import type { LogRule, Replay } from './log-history.ts'
import { checkLogOrder, type LogReport } from './log-order.ts'
import { type Bug, DEPOSED_MS, LEASE_MS, Store } from './store.ts'
import {
  accounts,
  counters,
  interactive,
  lists,
  registers,
  sets,
  type Workload,
} from './workloads.ts'

type AnyWorkload = Workload<unknown, unknown, unknown>

const WORKLOADS = { registers, lists, sets, counters, accounts, interactive }
const LIMITS = { stepsMax: 200_000 }
const OPERATIONS = 60
const CLIENTS = 8

function replayOf(workload: AnyWorkload): Replay<unknown, unknown> {
  const questions = workload.reads.map((input) => JSON.stringify(input))
  return {
    initial: () => workload.initial,
    apply: (state, input) => workload.run(state, input).state,
    outcome(state, input) {
      const begun = workload.begin?.(state, input) ?? input
      if (JSON.stringify(begun) !== JSON.stringify(input)) return 'nothing: its reads are not so'
      return JSON.stringify(workload.run(state, input).output)
    },
    touches: () => questions,
    answer(state, question) {
      const asked: unknown = JSON.parse(question)
      const input = workload.begin?.(state, asked) ?? asked
      return JSON.stringify({ input, output: workload.run(state, input).output })
    },
  }
}

interface Judged {
  readonly verdict: string
  readonly text: string
  readonly log: LogReport
  readonly rules: readonly LogRule[]
}

function judge(workload: AnyWorkload, seed: number, bug: Bug | null): Judged {
  const options = { seed, operations: OPERATIONS, clients: CLIENTS, bug }
  const { log, operations, placeOf } = new Store(workload, options).run()
  const result = checkLinearizable(workload.model, operations, LIMITS)
  const levels = { leaseMs: LEASE_MS, deposedMsMax: DEPOSED_MS }
  const report = checkLogOrder(replayOf(workload), log, { placeOf, ...levels })
  const rules = report.violations.map(({ rule }) => rule)
  const text = `seed ${seed}: ${result.culprit?.text}\n${JSON.stringify(report.violations)}`
  return { verdict: result.verdict, text, log: report, rules }
}

describe('a store that is right', () => {
  for (const [name, workload] of Object.entries(WORKLOADS)) {
    it(`is found so, with ${name}`, () => {
      for (let seed = 1; seed <= 30; seed += 1) {
        const { verdict, text, rules } = judge(workload as AnyWorkload, seed, null)
        assert.equal(verdict, 'linearizable', text)
        assert.deepEqual(rules, [], text)
      }
    })
  }
})

/** The workload that shows a bug, and what finds it: the checker as well, or these rules alone. */
const BUGS: Record<Bug, readonly [AnyWorkload, 'both' | LogRule]> = {
  'stale cache': [registers as AnyWorkload, 'both'],
  'lost write': [lists as AnyWorkload, 'both'],
  'duplicate write': [counters as AnyWorkload, 'both'],
  'write skew': [interactive as AnyWorkload, 'both'],
  'lost update': [interactive as AnyWorkload, 'both'],
  'read uncommitted': [lists as AnyWorkload, 'both'],
  'torn batch': [accounts as AnyWorkload, 'both'],
  'unknown write twice': [lists as AnyWorkload, 'both'],
  'reads of another replica': [lists as AnyWorkload, 'both'],
  'strong reads of an old leader': [sets as AnyWorkload, 'both'],
  'lost tail': [sets as AnyWorkload, 'both'],
  'swapped entries': [lists as AnyWorkload, 'both'],
  'failed write applied': [sets as AnyWorkload, 'both'],
  'looks first, writes later': [accounts as AnyWorkload, 'both'],
  'value of nobody': [registers as AnyWorkload, 'both'],
  'index too high': [lists as AnyWorkload, 'answers'],
  'own write missing': [lists as AnyWorkload, 'none'],
  'after ignored': [lists as AnyWorkload, 'after'],
  'lease too old': [lists as AnyWorkload, 'lease'],
  'staleness ignored': [lists as AnyWorkload, 'maxStalenessMs'],
  'weak without asking': [lists as AnyWorkload, 'weak'],
  'file goes back': [lists as AnyWorkload, 'none'],
}

const HISTORIES_MAX = 40

describe('a store that is wrong', () => {
  for (const [name, [workload, by]] of Object.entries(BUGS)) {
    it(`is found out: ${name}`, () => {
      let isFound = false
      for (let seed = 1; seed <= HISTORIES_MAX && !isFound; seed += 1) {
        const { verdict, text, rules } = judge(workload, seed, name as Bug)
        // The oracle knows the order, so it sees whatever the checker sees.
        if (verdict === 'violated') assert.notDeepEqual(rules, [], text)
        isFound = by === 'both' ? verdict === 'violated' : rules.includes(by)
        if (by !== 'both')
          assert.ok(
            rules.every((rule) => rule === by),
            text,
          )
      }
      assert.ok(isFound, `not within ${HISTORIES_MAX} histories`)
    })
  }
})
