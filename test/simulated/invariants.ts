import { crc32 } from 'node:zlib'
import type { Entry } from '../../src/raft/types.ts'
import type { ProcessWatcher, SimulatedProcess } from './process.ts'

interface Seen {
  term: number
  commit: number
  applied: number
  shared: unknown
}

/** What must hold after every event, and what must hold at the end. */
export class Invariants implements ProcessWatcher {
  readonly #leaders = new Map<number, SimulatedProcess>()
  readonly #committed = new Map<number, number>()
  readonly #seen = new Map<SimulatedProcess, Seen>()
  readonly #acknowledged = new Map<string, number>()
  readonly #rejected = new Set<string>()
  readonly #invoked = new Set<string>()
  #violation: string | null = null
  /** The highest index that any writer was told of. */
  acknowledgedIndex = 0
  snapshots = 0

  get acknowledgedCount(): number {
    return this.#acknowledged.size
  }

  get terms(): number {
    return this.#leaders.size
  }

  /** Throws what an earlier callback found: within the product's code nobody may throw. */
  check(): void {
    if (this.#violation !== null) throw new Error(this.#violation)
  }

  invoked(text: string): void {
    this.#invoked.add(text)
  }

  stepped(process: SimulatedProcess): void {
    const { isLeader, term, commit } = process.shared.readEngine()
    const applied = process.shared.applied()
    const before = this.#seen.get(process)
    if (before !== undefined && before.shared === process.shared) {
      if (term < before.term) this.#fail(`term went back from ${before.term} to ${term}`)
      if (commit < before.commit) this.#fail(`commit went back from ${before.commit} to ${commit}`)
      if (applied < before.applied) this.#fail(`applied went back from ${before.applied}`)
    }
    this.#seen.set(process, { term, commit, applied, shared: process.shared })
    if (!isLeader) return
    const other = this.#leaders.get(term)
    if (other !== undefined && other !== process) {
      this.#fail(
        `term ${term} has two leaders: ${other.options.nodeId} and ${process.options.nodeId}`,
      )
    }
    this.#leaders.set(term, process)
  }

  /** Log matching and state-machine safety: an index is applied with one content everywhere. */
  applied(process: SimulatedProcess, entry: Entry): void {
    const hash = crc32(entry.data, entry.term)
    const known = this.#committed.get(entry.index)
    if (known === undefined) this.#committed.set(entry.index, hash)
    else if (known !== hash) {
      this.#fail(`${process.options.nodeId} applies another entry at ${entry.index}`)
    }
  }

  installed(): void {
    this.snapshots += 1
  }

  acknowledged(text: string, index: number): void {
    this.#acknowledged.set(text, index)
    this.acknowledgedIndex = Math.max(this.acknowledgedIndex, index)
  }

  wasAcknowledged(text: string): boolean {
    return this.#acknowledged.has(text)
  }

  rejected(text: string): void {
    this.#rejected.add(text)
  }

  fatal(process: SimulatedProcess, message: string): void {
    this.#fail(`${process.options.nodeId} can't go on: ${message}`)
  }

  /** A strong read sees every write that was acknowledged before it was asked for. */
  strongRead(acknowledgedBefore: number, index: number): void {
    if (index < acknowledgedBefore) {
      this.#fail(`a strong read at ${index} misses a write acknowledged at ${acknowledgedBefore}`)
    }
  }

  /** Once all is healed and level: nothing lost, nothing twice, nothing differs. */
  judge(processes: readonly SimulatedProcess[]): void {
    let reference = ''
    for (const process of processes) {
      const { nodeId } = process.options
      const counts = new Map<string, number>()
      const content: string[] = []
      for (const [name, file] of [...(process.state?.files ?? [])].sort()) {
        for (const { index, text } of file.rows) {
          counts.set(text, (counts.get(text) ?? 0) + 1)
          content.push(`${name}/${index}/${text}`)
        }
      }
      for (const [text, index] of this.#acknowledged) {
        const count = counts.get(text) ?? 0
        if (count !== 1) {
          throw new Error(`${nodeId} has ${text}, acknowledged at ${index}, ${count} times`)
        }
      }
      for (const text of this.#rejected) {
        if (counts.has(text)) throw new Error(`${nodeId} has ${text}, which was refused for good`)
      }
      for (const [text, count] of counts) {
        if (count > 1) throw new Error(`${nodeId} has ${text} ${count} times`)
      }
      reference ||= content.join()
      if (content.join() !== reference) throw new Error(`${nodeId} differs from the others`)
    }
  }

  #fail(message: string): void {
    this.#violation ??= message
  }
}
