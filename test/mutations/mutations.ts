import { consensus } from './consensus.ts'
import { database } from './database.ts'
import { engine } from './engine.ts'
import { liveness } from './liveness.ts'
import { log } from './log.ts'
import type { Mutation } from './mutation.ts'
import { node } from './node.ts'
import { relaxed } from './relaxed.ts'
import { transport } from './transport.ts'

/** All of them. */
export const mutations: readonly Mutation[] = [
  ...consensus,
  ...liveness,
  ...engine,
  ...log,
  ...database,
  ...node,
  ...relaxed,
  ...transport,
]
