import { consensus } from './consensus.ts'
import type { Mutation } from './mutation.ts'

/** All of them. */
export const mutations: readonly Mutation[] = [...consensus]
