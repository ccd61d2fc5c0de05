/**
 * Decides whether a history is linearizable: whether its operations can be put into one order that
 * a model explains, in which none comes before another that had returned when it was called. The
 * search is Wing and Gong's, with Lowe's memory of where it has been, per partition of the model.
 *
 * Pure: no clock, no chance, and no recursion. Whatever the history, it ends after `stepsMax`.
 */
import type { Model, Operation } from './operation.ts'
import { Search } from './search.ts'

export type { Model, Operation } from './operation.ts'

export interface CheckOptions {
  /**
   * Of the model, over all partitions. What takes more is `undecided`. To report a violation may
   * take as many again.
   */
  readonly stepsMax: number
  /** What the search remembers, in characters: beyond it, it only goes slower. */
  readonly memoryCharactersMax?: number | undefined
}

/** How far an order of a history could be made, and what is in its way. */
export interface Culprit<Input, Output> {
  /** The longest part of an order that the model explains, of those that were tried. */
  readonly prefix: readonly Operation<Input, Output>[]
  /** The states after it, as the model's `hash` prints them. */
  readonly states: readonly string[]
  /** Of these one would have to be next, and none can be. */
  readonly stuck: readonly Operation<Input, Output>[]
  readonly text: string
}

export interface CheckResult<Input, Output> {
  readonly verdict: 'linearizable' | 'violated' | 'undecided'
  readonly steps: number
  /** The first that is violated, or else undecided; undefined for a model without partitions. */
  readonly partition?: string | undefined
  readonly culprit?: Culprit<Input, Output> | undefined
}

const MEMORY_CHARACTERS_MAX = 64 * 1024 * 1024
/** Of the prefix, in a report. */
const SHOWN_MAX = 12

export function checkLinearizable<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  options: CheckOptions,
): CheckResult<Input, Output> {
  for (const { callMs, returnMs } of operations) {
    if (!(callMs <= returnMs)) throw new RangeError(`called at ${callMs}, returned at ${returnMs}`)
  }
  const parts = Map.groupBy(operations, ({ input }) => model.partition?.(input) ?? '')
  const { stepsMax, memoryCharactersMax = MEMORY_CHARACTERS_MAX } = options
  let steps = 0
  let partsLeft = parts.size
  let undecided: CheckResult<Input, Output> | null = null
  for (const [name, part] of parts) {
    const share = Math.floor((stepsMax - steps) / partsLeft)
    partsLeft -= 1
    const search = new Search(model, part, { stepsMax: share, memoryCharactersMax })
    const verdict = search.run()
    steps += search.steps
    if (verdict === 'linearizable') continue
    const partition = model.partition === undefined ? undefined : name
    if (verdict === 'violated') {
      const shown = model.mayFollow === undefined ? search : searchInSight(model, part, options)
      if (shown !== search) steps += shown.steps
      return { verdict, steps, partition, culprit: describeCulprit(model, partition, shown) }
    }
    undecided ??= { verdict, steps, partition }
  }
  return undecided === null ? { verdict: 'linearizable', steps } : { ...undecided, steps }
}

/**
 * Who looks ahead stops where what comes later is impossible already. A report is of more use where
 * it goes on as far as it can.
 */
function searchInSight<State, Input, Output>(
  model: Model<State, Input, Output>,
  part: readonly Operation<Input, Output>[],
  { stepsMax, memoryCharactersMax = MEMORY_CHARACTERS_MAX }: CheckOptions,
): Search<State, Input, Output> {
  const blind: typeof model = Object.create(model, { mayFollow: { value: undefined } })
  const search = new Search(blind, part, { stepsMax, memoryCharactersMax })
  search.run()
  return search
}

function describeCulprit<State, Input, Output>(
  model: Model<State, Input, Output>,
  partition: string | undefined,
  { longest }: Search<State, Input, Output>,
): Culprit<Input, Output> {
  const prefix = longest.order
  const states = longest.states.map((state) => model.hash(state))
  const where = partition === undefined ? model.name : `${model.name}, partition ${partition}`
  const shown = prefix.slice(-SHOWN_MAX)
  const lines = [
    `${where}: no order explains more than ${prefix.length} of these operations.`,
    ...(shown.length < prefix.length ? [`  … ${prefix.length - shown.length} before`] : []),
    ...shown.map((operation) => `  ${describeOperation(model, operation)}`),
    `then the state is ${states.join(' or ')}, and none of these can follow:`,
    ...longest.stuck.map((operation) => `  ${describeOperation(model, operation)}`),
  ]
  return { prefix, states, stuck: longest.stuck, text: lines.join('\n') }
}

/** One operation on a line: who, when, what, and what it answered. */
export function describeOperation<State, Input, Output>(
  model: Model<State, Input, Output>,
  { client, input, output, callMs, returnMs }: Operation<Input, Output>,
): string {
  const until = returnMs === Infinity ? '…' : String(returnMs)
  const what =
    model.describe?.(input, output) ?? `${JSON.stringify(input)} → ${JSON.stringify(output)}`
  const unknown = output === null ? ' (unknown whether it happened)' : ''
  return `client ${client} [${callMs}, ${until}] ${what}${unknown}`
}
