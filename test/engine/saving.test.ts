import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Done } from '../../src/base/ports.ts'
import type { Applier, ReplicaState } from '../../src/engine/ports.ts'
import { Saving } from '../../src/engine/saving.ts'
import type { AppendBatch, Log } from '../../src/log/log.ts'
import { createMessage, type Message, type Ready } from '../../src/raft/raft.ts'
import { confStateOf, entryAt, Member } from '../raft/cluster.ts'

/** A follower of three in asynchronous mode, and the log that it saves to. */
function createRig(): {
  step: (fields: Partial<Message>) => readonly Message[]
  batches: readonly AppendBatch[]
  finish: () => void
  /** The databases have switched to the snapshot. */
  install: () => void
  sent: readonly Message[]
} {
  const batches: AppendBatch[] = []
  const waiting: Done[] = []
  let install: () => void = () => assert.fail('no snapshot came')
  const sent: Message[] = []
  const { raft } = new Member(2, confStateOf([1, 2, 3]), {})
  const log = {
    append: (batch: AppendBatch, done: Done): void => {
      batches.push(batch)
      waiting.push(done)
    },
    compact: () => {},
  } as unknown as Log
  const applier = {
    install: (_generation, _index, done) => {
      install = () => done(null, {} as ReplicaState)
    },
    deleteOtherGenerations: () => {},
  } as Partial<Applier> as Applier
  const saving = new Saving({
    raft,
    log,
    applier,
    send: (message) => sent.push(message),
    generationOf: () => 2,
    installed: () => {},
    changed: () => {},
  })
  const save = (ready: Ready): void => {
    for (const message of ready.messages) {
      if (message.type === 'storageAppend') saving.append(message, ready.mustSync)
    }
  }
  return {
    batches,
    sent,
    step: (fields) => {
      raft.step({ ...createMessage('append', 1, 2), term: 1, ...fields })
      while (raft.hasReady()) save(raft.takeReady())
      return sent
    },
    finish: () => {
      for (const done of waiting.splice(0)) done(null)
    },
    install: () => install(),
  }
}

describe('saving', () => {
  it('waits for the disk with entries and a new term, and answers only then', () => {
    const { step, batches, finish, sent } = createRig()
    step({ entries: [entryAt(1, 1), entryAt(2, 1)] })
    assert.deepEqual(
      batches.map(({ mustSync, entries }) => [mustSync, entries.length]),
      [[true, 2]],
    )
    assert.deepEqual(sent, [], 'nothing leaves before it is durable')
    finish()
    assert.deepEqual(
      sent.map(({ type, index }) => [type, index]),
      [['appendResponse', 2]],
    )
  })

  it('waits for no disk with a commit index alone, but for the appends before it', () => {
    const { step, batches, finish, sent } = createRig()
    step({ entries: [entryAt(1, 1)] })
    step({ index: 1, logTerm: 1, commit: 1 })
    assert.deepEqual(
      batches.map(({ mustSync }) => mustSync),
      [true, false],
    )
    assert.deepEqual(sent, [], 'what answers the commit also speaks of the entry')
    finish()
    assert.equal(sent.length, 2)
  })

  it('lets entries behind a snapshot wait until the databases have switched to it', () => {
    const { step, finish, install, sent } = createRig()
    const meta = { index: 5, term: 1, confState: confStateOf([1, 2, 3]) }
    step({ type: 'snapshot', snapshot: { meta, data: new Uint8Array(0) } })
    step({ index: 5, logTerm: 1, entries: [entryAt(6, 1)] })
    finish()
    assert.deepEqual(sent, [], 'the core would forget the entry while the snapshot is pending')
    install()
    assert.deepEqual(
      sent.map(({ type, index }) => [type, index]),
      [
        ['appendResponse', 5],
        ['appendResponse', 6],
      ],
    )
  })

  it('waits for the disk with a vote', () => {
    const { step, batches, finish, sent } = createRig()
    step({ entries: [entryAt(1, 1)] })
    finish()
    step({ type: 'vote', from: 3, term: 2, index: 1, logTerm: 1, context: transferMark() })
    assert.equal(batches.at(-1)?.mustSync, true)
    assert.equal(sent.filter(({ type }) => type === 'voteResponse').length, 0)
    finish()
    assert.equal(sent.filter(({ type }) => type === 'voteResponse').length, 1)
  })
})

/** A vote that no lease stands against. */
function transferMark(): Uint8Array {
  return new TextEncoder().encode('CampaignTransfer')
}
