/** An entry is skipped only where no member has applied it, or ever will. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeHashContent, encodeVoid, WriteEncoder } from '../../src/command/command.ts'
import type { Hold, Quarantine } from '../../src/engine/ports.ts'
import type { SkipOrder, SkipStand } from '../../src/engine/skip-wire.ts'
import { Skipping } from '../../src/engine/skipping.ts'
import type { LeaderAnswer } from '../../src/engine/wire.ts'
import type { Entry } from '../../src/raft/raft.ts'

const INDEX = 5
/** It died of the entry. */
const OWN: Quarantine = { index: INDEX, unitsDone: 0, hold: null }
const AT_IT: SkipStand = { applied: INDEX - 1, quarantine: OWN }

function write(): Uint8Array {
  const encoder = new WriteEncoder()
  encoder.add({ statements: [{ sql: 'SELECT 1', args: [] }] })
  return encoder.finish({ origin: '0'.repeat(32), database: 'main', sequence: 1 })
}

function createRig() {
  const entries: Entry[] = [1, 2, 3, 4, 5, 6, 7].map((index) => {
    const data = index === 6 ? encodeHashContent('a'.repeat(32)) : write()
    return { index, term: 1, type: index === 7 ? 'confChangeV2' : 'normal', data }
  })
  const told: number[] = []
  const stands = new Map<string, SkipStand | Error>([
    ['b', AT_IT],
    ['c', AT_IT],
  ])
  const raft = {
    role: 'leader' as 'leader' | 'follower',
    term: 3,
    commit: 7,
    committedInOwnTerm: true,
    propose: ([data]: readonly Uint8Array[]) => {
      entries.push({ index: entries.length + 1, term: 3, type: 'normal', data: data as Uint8Array })
      return 'ok' as const
    },
  }
  const rig = {
    entries,
    told,
    stands,
    raft,
    applied: INDEX - 1,
    isInMemory: true,
    loads: 0,
    /** Where the databases of this node stand. */
    own: OWN,
    holds: [] as Hold[],
    released: [] as (readonly [string, Hold])[],
    /** Who does not hear that it may go on. */
    deaf: new Set<string>(),
    connected: new Set<string>(),
    nowMs: 0,
    asked: () => {},
    skipping: null as unknown as Skipping,
    skip: (order: Partial<SkipOrder> = {}): string => {
      let said = ''
      rig.skipping.skip({ index: INDEX, without: [], ...order }, (answer: LeaderAnswer) => {
        said = answer.kind === 'refused' ? answer.error.message : answer.kind
      })
      return said
    },
    proposed: (): number => entries.filter(({ term }) => term === 3).length,
  }
  const names = ['b', 'c']
  rig.skipping = new Skipping({
    raft,
    log: {
      entries: (lo, hi) => {
        const isThere = rig.isInMemory || lo <= INDEX
        return isThere ? entries.slice(lo - 1, hi - 1) : 'unavailable'
      },
      load: (lo, _hi, _bytes, done) => {
        if (lo > INDEX) rig.loads += 1
        rig.isInMemory ||= lo > INDEX
        done(null)
      },
    },
    applier: {
      voidEntry: (index) => {
        told.push(index)
        rig.applied = index
      },
      holdEntry: (hold, done) => {
        rig.holds.push(hold)
        rig.skipping.halted(true, rig.own)
        done(rig.own)
      },
      releaseEntry: (hold) => {
        rig.released.push(['a', hold])
      },
    },
    lastVoid: 0,
    // Time stands still unless it is told to go on, and timers with it.
    clock: { nowMs: () => rig.nowMs, wallMs: () => 0, setTimer: () => () => {} },
    waitMs: 0,
    applied: () => rig.applied,
    others: () => new Map(names.map((name, at) => [at + 2, name])),
    ownNodeId: 'a',
    isConnected: (id) => rig.connected.has(names[id - 2] as string),
    release: (id, hold, done) => {
      const name = names[id - 2] as string
      rig.released.push([name, hold])
      done(!rig.deaf.has(name))
    },
    ask: (id, hold, done) => {
      rig.asked()
      rig.holds.push(hold)
      const stand = stands.get(names[id - 2] as string)
      if (stand instanceof Error) done(stand, null)
      else done(null, stand ?? null)
    },
    schedule: () => {},
  })
  rig.skipping.halted(true, OWN)
  return rig
}

test('it is proposed where every member stands still at it', () => {
  const rig = createRig()
  // Nobody applies here: what was proposed is not agreed on in time.
  assert.match(rig.skip(), /was proposed, and nobody has agreed/)
  assert.equal(rig.proposed(), 1)
  assert.deepEqual(rig.entries.at(-1)?.data, encodeVoid(INDEX))
})

const REFUSED: Readonly<Record<string, readonly [Error | SkipStand, RegExp]>> = {
  'a member has applied it': [{ applied: INDEX, quarantine: null }, /b has applied it/],
  'a member may be at it': [
    { applied: 4, quarantine: null },
    /b has applied up to entry 4 and may/,
  ],
  'a member stands at another entry': [
    { applied: 2, quarantine: { index: 3, unitsDone: 0 } },
    /b stands still at entry 3/,
  ],
  'a member is away': [new Error('no link'), /b does not answer \(no link\): start it/],
  'a member has done another part of it': [
    { applied: 4, quarantine: { index: INDEX, unitsDone: 1 } },
    /not equally far: .* parts are done/,
  ],
}

for (const [name, [stand, message]] of Object.entries(REFUSED)) {
  test(`it is refused where ${name}`, () => {
    const rig = createRig()
    rig.stands.set('b', stand)
    assert.match(rig.skip(), message)
    assert.equal(rig.proposed(), 0)
  })
}

test('it is refused for what is no write, or not there to be skipped', () => {
  const rig = createRig()
  for (const index of [6, 7]) assert.match(rig.skip({ index }), /it is no write/)
  assert.match(rig.skip({ index: 8 }), /committed up to entry 7/)
  assert.match(rig.skip({ index: 4 }), /the leader has applied it/)
  assert.match(rig.skip({ without: ['d'] }), /no other member 'd'/)
  rig.skipping.halted(false, null)
  assert.match(rig.skip(), /a has applied up to entry 4/)
  assert.equal(rig.proposed(), 0)
})

test('only a leader decides, and none that lost its term while it asked', () => {
  const rig = createRig()
  rig.asked = () => {
    rig.raft.term = 4
  }
  assert.equal(rig.skip(), 'elsewhere')
  // Members that have a later leader stay for no other.
  rig.stands.set('b', { applied: INDEX - 1, quarantine: null })
  rig.raft.term = 3
  assert.equal(rig.skip(), 'elsewhere')
  rig.raft.role = 'follower'
  assert.equal(rig.skip(), 'elsewhere')
  assert.equal(rig.proposed(), 0)
})

test('an operator may do without a member that is away', () => {
  const rig = createRig()
  rig.stands.set('b', new Error('no link'))
  rig.skip({ without: ['b'] })
  assert.equal(rig.proposed(), 1)
})

test('nobody does without a member that is there: it may have applied the entry', () => {
  const rig = createRig()
  rig.connected.add('b')
  rig.stands.set('b', { applied: INDEX, quarantine: null })
  assert.match(rig.skip({ without: ['b'] }), /'b' is connected: stop it, if it is to be done/)
  assert.deepEqual([rig.proposed(), rig.holds], [0, []])
})

test('the databases are told once it is committed, wherever it stands in the log', () => {
  const rig = createRig()
  const { skipping, raft, entries, told } = rig
  skipping.tick()
  entries.push({ index: 8, term: 3, type: 'normal', data: encodeVoid(INDEX + 1) })
  entries.push({ index: 9, term: 3, type: 'normal', data: encodeVoid(INDEX) })
  raft.commit = 8
  skipping.tick()
  assert.deepEqual(told, [], 'it may yet be cut off')
  raft.commit = 9
  rig.isInMemory = false
  skipping.tick()
  skipping.tick()
  assert.equal(rig.loads, 1)
  assert.deepEqual(told, [INDEX])
  assert.equal(skipping.lastVoid, INDEX)
})

test('whoever applies is not asked to stay, and who stands still is', () => {
  const rig = createRig()
  rig.skipping.halted(false, null)
  rig.skip()
  assert.deepEqual(rig.holds, [])
  rig.skipping.halted(true, null)
  rig.skip()
  const hold = { index: INDEX, term: 3, round: 2 }
  assert.deepEqual(rig.holds, [hold, hold, hold])
})

test('where it comes to nothing, all who stayed go on, and each time is told from the last', () => {
  const rig = createRig()
  rig.stands.set('b', new Error('no link'))
  rig.skip()
  const first = { index: INDEX, term: 3, round: 1 }
  // The one that did not answer may have heard all the same.
  assert.deepEqual(rig.released, [
    ['a', first],
    ['b', first],
    ['c', first],
  ])
  rig.skip()
  assert.deepEqual(rig.released.at(-1), ['c', { ...first, round: 2 }])
})

test('who does not hear that it may go on is told again, as long as the term lasts', () => {
  const rig = createRig()
  rig.stands.set('c', { applied: INDEX, quarantine: null })
  rig.deaf.add('b')
  rig.skip()
  rig.released.length = 0
  rig.skipping.tick()
  assert.deepEqual(rig.released, [], 'not at every tick')
  rig.nowMs += 1_000
  rig.skipping.tick()
  const hold = { index: INDEX, term: 3, round: 1 }
  assert.deepEqual(rig.released, [['b', hold]])
  rig.deaf.clear()
  for (let s = 0; s < 3; s += 1) {
    rig.nowMs += 1_000
    rig.skipping.tick()
  }
  assert.deepEqual(rig.released.length, 2, 'once it has heard, no more')

  rig.deaf.add('b')
  rig.skip()
  rig.released.length = 0
  rig.raft.term = 4
  rig.nowMs += 1_000
  rig.skipping.tick()
  assert.deepEqual(rig.released, [], 'this leader can have nothing skipped in that term any more')
})

test('who was asked by a leader that is gone goes on once a later one has an entry', () => {
  const rig = createRig()
  const { skipping, raft, entries } = rig
  const hold = { index: INDEX, term: 3, round: 7 }
  raft.role = 'follower'
  skipping.halted(true, { ...OWN, hold })
  const more = (term: number): void => {
    entries.push({ index: entries.length + 1, term, type: 'normal', data: write() })
    raft.commit = entries.length
    skipping.tick()
  }
  raft.term = 4
  skipping.tick()
  more(3)
  assert.deepEqual(rig.released, [], 'what it had proposed may be about to come')
  more(4)
  assert.deepEqual(rig.released, [['a', hold]])
  more(4)
  assert.equal(rig.released.length, 1)

  // Another leader has asked since: the word of the one before counts no more.
  const later = createRig()
  later.raft.term = 4
  later.skipping.halted(true, { ...OWN, hold })
  later.own = { ...OWN, hold: { ...hold, term: 4 } }
  later.skipping.stay({ ...hold, term: 4 }, () => {})
  later.entries.push({ index: 8, term: 4, type: 'normal', data: write() })
  later.raft.commit = 8
  later.skipping.tick()
  assert.deepEqual(later.released, [])
})

test('what is void stays so, whoever leads by then', () => {
  const { skipping, raft, entries, released, told } = createRig()
  skipping.halted(true, { ...OWN, hold: { index: INDEX, term: 3, round: 7 } })
  entries.push({ index: 8, term: 3, type: 'normal', data: encodeVoid(INDEX) })
  entries.push({ index: 9, term: 4, type: 'normal', data: write() })
  raft.term = 4
  raft.commit = 9
  skipping.tick()
  assert.deepEqual([told, released], [[INDEX], []])
})

test('a question that comes after its end is none', () => {
  const rig = createRig()
  const stand = (hold: Hold): SkipStand | null => {
    let said: SkipStand | null = null
    rig.skipping.stay(hold, (value) => {
      said = value
    })
    return said
  }
  const hold = { index: INDEX, term: 3, round: 7 }
  const none = { applied: INDEX - 1, quarantine: null }
  assert.deepEqual(stand({ ...hold, term: 2 }), none, 'of a term that is over')
  rig.skipping.release(hold)
  assert.deepEqual(stand(hold), none, 'it was on its way for longer than its end')
  assert.deepEqual(stand({ ...hold, round: 8 }), AT_IT)
  assert.deepEqual(rig.holds, [{ ...hold, round: 8 }])
})

test('nobody goes on while it may be decided, and nothing is proposed twice', () => {
  const rig = createRig()
  // Agreed on later than anyone waited for it.
  assert.match(rig.skip(), /was proposed, and nobody has agreed/)
  rig.stands.set('b', new Error('no link'))
  assert.match(rig.skip(), /was proposed, and nobody has agreed/)
  assert.deepEqual([rig.proposed(), rig.released], [1, []])

  // What an earlier leader had skipped may be in the part of the log that is not looked at yet.
  rig.raft.term = 4
  rig.raft.commit = 8
  rig.isInMemory = false
  assert.equal(rig.skip(), 'elsewhere')
  assert.deepEqual([rig.told, rig.released], [[], []])
  assert.equal(rig.skip(), 'done')
  assert.deepEqual(rig.told, [INDEX])
  assert.deepEqual([rig.proposed(), rig.released], [1, []])
})
