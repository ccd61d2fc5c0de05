/** Histories in files: what a process recorded is there whatever becomes of it. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { readHistory } from './history.ts'
import type { Operation } from './operation.ts'

/** Takes a recorder's lines. Each is in the file when `write` returns; none is synced. */
export class HistoryFile implements Disposable {
  readonly #file: number

  constructor(path: string) {
    this.#file = openSync(path, 'wx')
  }

  readonly write: (line: string) => void = (line) => {
    writeSync(this.#file, `${line}\n`)
  };

  [Symbol.dispose](): void {
    closeSync(this.#file)
  }
}

/** What several recorders on one clock wrote, as one history. */
export function readHistoryFiles<Input, Output>(
  paths: readonly string[],
): readonly Operation<Input, Output>[] {
  const histories = paths.map((path) => readHistory<Input, Output>(readFileSync(path, 'utf8')))
  return histories.flat().sort((a, b) => a.callMs - b.callMs)
}
