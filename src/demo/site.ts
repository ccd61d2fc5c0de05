import type { Member } from './member.ts'
import type { DemoState } from './protocol.ts'

/** Where the nodes run, and what can be done to them there. */
export interface Site {
  readonly kind: DemoState['site']
  /** What to do where a node ended by itself. */
  readonly advice: string
  /** The node in whose process the page is: with it the tally would end. Null if there is none. */
  readonly pageId: string | null
  /** What passes between nodes; null where it can't be cut. */
  readonly links: Links | null
  /** Has the node that was killed start again. @throws where it is not open in time. */
  revive(member: Member): Promise<void>
  close(): Promise<void>
}

/** Of two nodes, what each sends to the other. */
export interface Links {
  cut(one: Member, other: Member): void
  join(one: Member, other: Member): void
}
