import { createTestCluster } from 'colmena/testing'
import { expect, test } from 'vitest'
import { addNote, listNotes, MIGRATIONS } from './notes.ts'

test('notes are there after the loss of a leader, and on all once it is back', async () => {
  await using cluster = await createTestCluster({ nodes: 3, migrations: MIGRATIONS })
  await addNote((await cluster.leader()).database(), 'milk')

  await cluster.isolateLeader()
  await addNote((await cluster.leader()).database(), 'bread')

  await cluster.heal()
  await cluster.waitForConvergence()
  for (const node of cluster.nodes) {
    const notes = await listNotes(node.database('main', { consistency: 'none' }))
    expect(notes.map(({ text }) => text)).toEqual(['milk', 'bread'])
  }
}, 60_000)
