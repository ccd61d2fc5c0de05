import type { Mutation } from './mutation.ts'

/** What others may send. */
export const transport: readonly Mutation[] = [
  {
    id: 'broken-stream-stays-open',
    bug: 'A connection whose bytes have no meaning stays open until the other side ends it.',
    file: 'src/transport/channel.ts',
    text: "    this.#fault ??= fault\n    this.#destroy('here')\n",
    replacement: '    this.#fault ??= fault\n',
    breaks: ['A6'],
    caughtBy: { tests: ['test/fuzz/fuzz.test.ts'] },
  },
  {
    id: 'snapshot-names-as-given',
    bug: 'The files of a snapshot are written where their names lead.',
    file: 'src/transport/snapshot-wire.ts',
    text: 'if (!NAME_PATTERN.test(name)) throw',
    replacement: "if (name === '') throw",
    breaks: ['A6'],
    caughtBy: { tests: ['test/fuzz/fuzz.test.ts'] },
  },
]
