/** A relaxed node that stopped uncleanly: what it asks for, and what it does until then. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ColmenaError } from '../../src/base/errors.ts'
import type { Done } from '../../src/base/ports.ts'
import { encodeMemberRecords, type MemberRecord } from '../../src/command/command.ts'
import type { Joining } from '../../src/engine/joining.ts'
import type { ReplicaState } from '../../src/engine/ports.ts'
import type { EngineConfig, EngineToUser } from '../../src/engine/protocol.ts'
import { comeBack } from '../../src/engine/unclean-stop.ts'
import { type AppendBatch, type Log, UNSYNCED_ENTRIES_MAX } from '../../src/log/log.ts'
import {
  type ConfState,
  EMPTY_CONF_STATE,
  type Entry,
  encodeConfChange,
  type HardState,
} from '../../src/raft/raft.ts'

const OLD = 1
const NEW = 1_000
const TOKEN = '000000000001-3'

interface Asked {
  readonly record: MemberRecord
  readonly replaced: number | null
  readonly done: (error: ColmenaError | null) => void
}

/** Node 1, whose log holds entries 1 to 10 of terms up to 4. */
class Rig {
  readonly asked: Asked[] = []
  readonly told: EngineToUser[] = []
  readonly batches: AppendBatch[] = []
  readonly failures: Error[] = []
  readonly alone: HardState[] = []
  addresses: readonly string[] = []
  appended: Done = () => assert.fail('nothing was appended')
  /** How often the old node was given up. */
  ends = 0

  constructor(
    confState: ConfState,
    more: { confChanges?: readonly Entry[]; highestApplied?: number; joins?: readonly string[] },
  ) {
    const { confChanges = [], highestApplied = 8, joins = ['127.0.0.1:2'] } = more
    const append = (batch: AppendBatch, done: Done): void => {
      this.batches.push(batch)
      this.appended = done
    }
    const log = { lastIndex: 10, term: () => 4, append } as unknown as Log
    const config = {
      memberId: OLD,
      nodeId: 'a',
      bind: '127.0.0.1:1',
      advertise: '127.0.0.1:1',
      joinAddresses: joins,
      joinAs: 'voter',
      uncleanStop: { token: TOKEN, newMemberId: NEW },
    } as unknown as EngineConfig
    const join = (record: MemberRecord, replaced: number | null, _: string, done: Asked['done']) =>
      this.asked.push({ record, replaced, done })
    const state = { confState, confIndex: 0, members: [], applied: 8, highestApplied }
    comeBack({
      config,
      recovered: {
        log,
        hardState: { term: 5, vote: 2, commit: 9 },
        snapshot: null,
        confChanges,
      },
      state: state as unknown as ReplicaState,
      toUser: (message) => this.told.push(message),
      asAlone: (hardState) => this.alone.push(hardState),
      asAnother: ({ joinAddresses }) => {
        this.addresses = joinAddresses
        return { join } as unknown as Joining
      },
      replaced: () => {
        this.ends += 1
      },
      fail: (error) => this.failures.push(error),
    })
  }

  heard(kind: EngineToUser['kind']): number {
    return this.told.filter((message) => message.kind === kind).length
  }
}

/** An entry of the log that has taken in another member. */
function joined(index: number): Entry {
  const record = { memberId: 3, nodeId: 'c', address: '127.0.0.1:3', wantedRole: 'voter' } as const
  const change = {
    transition: 'auto',
    changes: [{ type: 'addLearner', id: 3 }],
    context: encodeMemberRecords([record]),
  } as const
  return { index, term: 4, type: 'confChangeV2', data: encodeConfChange(change) }
}

const THREE = { ...EMPTY_CONF_STATE, voters: [OLD, 2, 3] }
const ONE = { ...EMPTY_CONF_STATE, voters: [OLD] }

describe('an unclean stop of a relaxed node', () => {
  it('is told, and a member goes on as nobody until a leader has taken another one in', () => {
    const rig = new Rig(THREE, {})
    assert.equal(rig.heard('warning'), 1)
    assert.deepEqual([rig.heard('replaced'), rig.ends, rig.alone.length], [0, 0, 0])
    const [{ record, replaced, done }] = rig.asked as [Asked]
    assert.deepEqual([record.memberId, record.nodeId, replaced], [NEW, 'a', OLD])
    done(null)
    assert.deepEqual([rig.heard('replaced'), rig.ends], [1, 1])
    assert.deepEqual([rig.batches, rig.failures], [[], []])
  })

  it('costs nothing where no leader answers, and says what accepts the loss', () => {
    const rig = new Rig(THREE, {})
    rig.asked[0]?.done(new ColmenaError('ERR_JOIN_FAILED', 'nobody there'))
    assert.deepEqual([rig.heard('replaced'), rig.ends], [0, 0])
    const [error] = rig.failures as [ColmenaError]
    assert.deepEqual([error.code, error.retryable], ['ERR_UNCLEAN_STOP', true])
    assert.match(error.message, /nobody there.*entry 10 of term 4, in term 5: acceptLoss: '0+1-3'$/)
  })

  it('of a member that was removed meanwhile is told as that', () => {
    const rig = new Rig(THREE, {})
    rig.asked[0]?.done(new ColmenaError('ERR_REMOVED', 'gone'))
    assert.equal((rig.failures[0] as ColmenaError).code, 'ERR_REMOVED')
    assert.equal(rig.ends, 0)
  })

  it('before any configuration was known is as if it had never joined', () => {
    const rig = new Rig(EMPTY_CONF_STATE, { highestApplied: 0 })
    assert.deepEqual(rig.asked, [], 'its cluster may never have heard of it')
    assert.deepEqual([rig.heard('replaced'), rig.ends], [1, 1])
  })

  it('may have happened to a member that had not applied the first configuration yet', () => {
    const rig = new Rig(EMPTY_CONF_STATE, { confChanges: [joined(3)], highestApplied: 0 })
    assert.deepEqual([rig.asked.length, rig.ends], [1, 0])
  })

  it('of who was alone before a change of the members in its log is none of a node alone', () => {
    const rig = new Rig(ONE, { confChanges: [joined(9)] })
    assert.deepEqual([rig.asked.length, rig.batches.length], [1, 0])
  })

  it('of who founded the cluster asks whom its log has taken in', () => {
    const rig = new Rig(ONE, { confChanges: [joined(9)], joins: [] })
    assert.deepEqual([rig.asked.length, rig.failures.length], [1, 0])
    assert.deepEqual(rig.addresses, ['127.0.0.1:3'])
  })

  it('of a node alone passes every index over that may name a lost write', () => {
    for (const highestApplied of [8, 12, 10 + UNSYNCED_ENTRIES_MAX + 5]) {
      const rig = new Rig(ONE, { highestApplied })
      const [{ entries, hardState, mustSync }] = rig.batches as [AppendBatch]
      const last = Math.max(10 + UNSYNCED_ENTRIES_MAX, highestApplied)
      assert.deepEqual([entries[0]?.index, entries.at(-1)?.index], [11, last])
      assert.deepEqual(hardState, { term: 6, vote: 0, commit: 9 }, 'in a term that nobody led')
      assert.ok(mustSync && entries.every(({ term }) => term === 5))
      assert.deepEqual(
        [rig.heard('lossKept'), rig.alone.length],
        [0, 0],
        'not before it is durable',
      )
      rig.appended(null)
      assert.equal(rig.heard('lossKept'), 1)
      assert.deepEqual(rig.alone, [hardState])
      assert.equal(rig.ends, 0)
    }
  })
})
