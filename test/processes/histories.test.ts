/** What clients of real nodes saw while leadership was handed on, against models and the log. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HistoryRecorder } from '../checking/history.ts'
import { checkLinearizable, type Model, type Operation } from '../checking/linearizability.ts'
import type {
  LogAnswer,
  LogInput,
  LogOperation,
  LogOutput,
  LogWritten,
  Replay,
} from '../checking/log-history.ts'
import { checkLogOrder } from '../checking/log-order.ts'
import {
  type Answer,
  type BankInput,
  bank,
  type RegisterInput,
  register,
} from '../checking/models.ts'
import { SeededRandom } from '../simulated/random.ts'
import { Cluster, nameNode } from './cluster.ts'
import { RemoteError } from './node-handle.ts'
import { until } from './wait.ts'

type Input = RegisterInput | BankInput
type Recorder = HistoryRecorder<LogInput<Input>, LogOutput>

interface State {
  readonly registers: Map<string, unknown>
  balances: readonly number[]
}

const KEYS = ['x', 'y', 'z']
const BALANCES = [1_000, 1_000, 1_000, 1_000]
const CLIENTS = 12
const OPERATIONS = 400
const HANDOVERS = 3
/** Of all that the log is held against; of these the strong ones are held against models too. */
const LEVELS = ['strong', 'strong', 'strong', 'weak', 'lease', 'none'] as const
const ELECTION_TIMEOUT_MS = 1_000
const BANK = bank(BALANCES)
const SCHEMA = [
  'CREATE TABLE registers (key TEXT PRIMARY KEY, value INTEGER)',
  `INSERT INTO registers (key) VALUES ${KEYS.map((key) => `('${key}')`).join()}`,
  'CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)',
  `INSERT INTO accounts VALUES ${BALANCES.map((balance, id) => `(${id}, ${balance})`).join()}`,
]
const READ_BANK = 'SELECT balance FROM accounts ORDER BY id'
const READ_REGISTER = 'SELECT value FROM registers WHERE key = ?'
const TRANSFER =
  'UPDATE accounts SET balance = balance + CASE id WHEN :from THEN -:amount ELSE :amount END ' +
  'WHERE id IN (:from, :to) AND (SELECT balance FROM accounts WHERE id = :from) >= :amount'

function isBank(input: Input): input is BankInput {
  return !('key' in input)
}

/** What is asked to read all that an input may alter. */
function toQuestion(input: Input): string {
  return JSON.stringify('key' in input ? { kind: 'read', key: input.key } : { kind: 'read' })
}

function drawInput(random: SeededRandom, id: number): Input {
  const key = random.pick(KEYS)
  switch (random.below(6)) {
    case 0:
    case 1:
      return { kind: 'read', key }
    case 2:
      return { kind: 'read' }
    case 3:
      return { kind: 'write', key, value: id }
    case 4:
      return { kind: 'swap', key, from: Math.max(1, id - random.between(1, CLIENTS)), to: id }
    default: {
      const from = random.below(BALANCES.length)
      const to = (from + random.between(1, BALANCES.length - 1)) % BALANCES.length
      return { kind: 'transfer', from, to, amount: random.between(1, 900) }
    }
  }
}

function toStatement(input: Input): readonly [string, unknown] {
  switch (input.kind) {
    case 'read':
      return 'key' in input ? [READ_REGISTER, [input.key]] : [READ_BANK, []]
    case 'write':
      return ['UPDATE registers SET value = ? WHERE key = ?', [input.value, input.key]]
    case 'swap': {
      const sql = 'UPDATE registers SET value = ? WHERE key = ? AND value = ?'
      return [sql, [input.to, input.key, input.from]]
    }
    case 'transfer': {
      const { from, to, amount } = input
      return [TRANSFER, { from, to, amount }]
    }
  }
}

/** One operation on one node, taken down with what became of it. */
async function run(
  cluster: Cluster,
  at: number,
  recorder: Recorder,
  input: Input,
  level: (typeof LEVELS)[number],
): Promise<void> {
  const [sql, args] = toStatement(input)
  const origin = nameNode(at)
  const isRead = input.kind === 'read'
  const call = recorder.called(
    recorder.count,
    isRead ? { kind: 'read', origin } : { kind: 'write', origin, change: input },
  )
  try {
    const options = isRead ? { consistency: level } : undefined
    const answer = await cluster.node(at).call('execute', sql, args as never, options)
    const { index, rows, rowsAffected } = answer
    if (!isRead) {
      recorder.done(call, { index, outcome: String(rowsAffected > 0) })
      return
    }
    const { consistency } = answer
    assert.ok(consistency === level || (consistency === 'weak' && level === 'lease'))
    const seen = isBank(input) ? rows.map(({ balance }) => balance) : rows[0]?.['value']
    const answers = { [toQuestion(input)]: JSON.stringify(seen) }
    recorder.done(call, { index, level: consistency, answers })
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error
    if (error.outcome === 'not-applied') recorder.failed(call)
  }
}

const replay: Replay<State, Input> = {
  initial: () => ({ registers: new Map(), balances: BALANCES }),
  outcome(state, input) {
    if (input.kind === 'swap') return String(state.registers.get(input.key) === input.from)
    if (input.kind === 'transfer') {
      return String((state.balances[input.from] as number) >= input.amount)
    }
    return 'true'
  },
  apply(state, input) {
    if (isBank(input)) [state.balances] = BANK.step(state.balances, input, null) as [number[]]
    else if (input.kind === 'write') state.registers.set(input.key, input.value)
    else if (input.kind === 'swap' && state.registers.get(input.key) === input.from) {
      state.registers.set(input.key, input.to)
    }
    return state
  },
  touches: (input) => [toQuestion(input)],
  answer({ registers, balances }, question) {
    const input = JSON.parse(question) as Input
    return JSON.stringify(isBank(input) ? balances : (registers.get(input.key) ?? null))
  },
}

function toOperation(operation: LogOperation<Input>): Operation<Input, Answer<never>>[] {
  const { client, input, output, callMs, returnMs } = operation
  if (input.kind === 'write') {
    const outcome = (output as LogWritten | null)?.outcome
    const answer = outcome === undefined ? null : { isDone: outcome === 'true' }
    return [{ client, input: input.change, output: answer, callMs, returnMs }]
  }
  if (output === null || (output as LogAnswer).level !== 'strong') return []
  const [[question, seen]] = Object.entries((output as LogAnswer).answers) as [[string, string]]
  return [
    { client, input: JSON.parse(question), output: { seen: JSON.parse(seen) }, callMs, returnMs },
  ] as Operation<Input, Answer<never>>[]
}

function check(
  model: Model<unknown, unknown, unknown>,
  operations: readonly Operation<unknown, unknown>[],
): void {
  const { verdict, culprit } = checkLinearizable(model, operations, { stepsMax: 2_000_000 })
  assert.equal(verdict, 'linearizable', culprit?.text)
  assert.ok(operations.length > OPERATIONS / 5, `${operations.length} of a ${model.name}`)
}

test('reads keep what their levels promise while leadership is handed on', async (t) => {
  const cluster = await Cluster.start({ electionTimeoutMs: ELECTION_TIMEOUT_MS })
  t.after(() => cluster.end())
  for (const sql of SCHEMA) await cluster.node(0).call('execute', sql)
  await cluster.untilEqual()
  const nowMs = (): number => performance.now()
  const recorder: Recorder = new HistoryRecorder({ nowMs, operationsMax: OPERATIONS })
  const random = new SeededRandom('histories')
  const clients = Array.from({ length: CLIENTS }, async (_, client) => {
    while (!recorder.isFull) {
      const input = drawInput(random, recorder.count + 1)
      await run(cluster, client % 3, recorder, input, random.pick(LEVELS))
    }
  })
  for (let handover = 1; handover <= HANDOVERS; handover += 1) {
    const count = (handover * OPERATIONS) / (HANDOVERS + 1)
    await until(`${count} operations`, () => recorder.count >= count)
    const leader = await cluster.leader()
    await cluster.node(leader).call('transferLeadership', nameNode((leader + 1) % 3))
  }
  await Promise.all(clients)
  const log = recorder.operations
  // Every node lives, so none need leave a caller in doubt; of none would the index be known.
  assert.deepEqual(
    log.filter(({ input, output }) => input.kind === 'write' && output === null),
    [],
  )
  const report = checkLogOrder(replay, log, { leaseMs: ELECTION_TIMEOUT_MS })
  assert.deepEqual(report.violations, [])
  const operations = log.flatMap(toOperation)
  check(
    register,
    operations.filter(({ input }) => !isBank(input)),
  )
  check(
    BANK,
    operations.filter(({ input }) => isBank(input)),
  )
})
