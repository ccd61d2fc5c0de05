import type { Client } from '../client.ts'
import type { Ledger } from '../ledger.ts'
import type { Fate, Record } from '../record.ts'
import type { Rig } from '../rig.ts'
import type { Verdict } from '../verdict.ts'

/** What all workloads of a run share. */
export interface Books {
  readonly record: Record
  readonly ledger: Ledger
  readonly verdict: Verdict
}

/** Asks a node's file, when that node does not run any more. */
export type Query = (sql: string) => readonly (readonly unknown[])[]

/** Something that clients do over and over, and what must be true of the answers. */
export interface Workload {
  readonly name: string
  readonly schema: readonly string[]
  readonly clients: number
  /** One or a few operations of one client; it never throws because of a node. */
  step(client: Client): Promise<void>
  /** Clients ask no more, and all has healed: until what they left under way is over. */
  settle?(rig: Rig): Promise<void>
  /** Nothing is under way any more: judges what was not judged before. */
  finish(): void
  /** Judges one state of the databases: what must be true at any time. */
  judge?(query: Query, where: string): void
  /** Judges what a node has in the end. */
  judgeEnd?(query: Query, where: string): void
  /** The column in which it keeps the numbers of its writes, for the ledger. */
  readonly ids?: string
}

/** The part of a history that has one key. */
export interface Window<Item> {
  readonly key: number
  readonly items: Item[]
  users: number
  isClosed: boolean
}

/** Keys that change after a while, so that no history grows without bound. */
export class Windows<Item> {
  readonly #itemsMax: number
  readonly #judge: (window: Window<Item>) => void
  #last = 0
  #window: Window<Item>
  readonly #open = new Set<Window<Item>>()

  constructor(itemsMax: number, judge: (window: Window<Item>) => void) {
    this.#itemsMax = itemsMax
    this.#judge = judge
    this.#window = this.#begin()
  }

  /** The present one, until it is left. */
  enter(): Window<Item> {
    this.#window.users += 1
    return this.#window
  }

  leave(window: Window<Item>): void {
    window.users -= 1
    if (window.items.length >= this.#itemsMax) window.isClosed = true
    if (window.isClosed && window === this.#window) this.#window = this.#begin()
    if (window.isClosed && window.users === 0) this.#end(window)
  }

  /** Judges those that are open still. */
  finish(): void {
    for (const window of [...this.#open]) this.#end(window)
  }

  #begin(): Window<Item> {
    this.#last += 1
    const window: Window<Item> = { key: this.#last, items: [], users: 0, isClosed: false }
    this.#open.add(window)
    return window
  }

  #end(window: Window<Item>): void {
    if (this.#open.delete(window)) this.#judge(window)
  }
}

/** Whether what was written is there, by the word of whoever wrote it. */
export function isDone(fate: Fate): boolean {
  return fate === 'ok' || fate === 'committed'
}
