import type { Stage } from '../stage.ts'

/** What a part of the bench gets: where to work, and whom to tell each row's figure. */
export interface GroupContext {
  readonly stage: Stage
  readonly report: (id: string, value: number) => void
}
