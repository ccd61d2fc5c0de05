/** One simulated file: what the running system sees, and what a power loss leaves of it. */
import type { SeededRandom } from './random.ts'

const SECTOR_BYTES = 512

interface Write {
  readonly offset: number
  readonly bytes: Uint8Array
  isDurable: boolean
}

/** How a crash treats what was not synced, in shares of sectors; the rest is lost. */
export interface CrashOdds {
  readonly kept: number
  readonly garbage: number
}

/** What power losses are like; each is drawn as often as another. */
export const POWER_LOSSES: readonly CrashOdds[] = [
  { kept: 0, garbage: 0 },
  { kept: 1, garbage: 0 },
  { kept: 0.5, garbage: 0 },
  { kept: 0.4, garbage: 0.2 },
  { kept: 0.9, garbage: 0.05 },
]

export class Inode {
  #seen: Uint8Array = new Uint8Array(0)
  #durable: Uint8Array = new Uint8Array(0)
  /**
   * Invariant: in the order of issue, the first one not durable. A durable one waits for those
   * before it, so that an older write which a crash keeps never covers a newer one.
   */
  #writes: Write[] = []
  /** Grows with whatever a power loss would leave for sure. */
  durableVersion = 0
  /** Grows with whatever is seen. */
  seenVersion = 0

  get sizeBytes(): number {
    return this.#seen.length
  }

  get writeCount(): number {
    return this.#writes.length
  }

  write(offset: number, bytes: Uint8Array): Write {
    // A copy: `slice` of a Buffer would be a view of what the writer uses again.
    const write = { offset, bytes: new Uint8Array(bytes), isDurable: false }
    this.#seen = place(this.#seen, offset, write.bytes)
    this.seenVersion += 1
    this.#writes.push(write)
    return write
  }

  read(offset: number, length: number): Uint8Array {
    return this.#seen.slice(offset, offset + length)
  }

  /** What any power loss leaves: the least of what the next process finds. */
  readDurable(): Uint8Array {
    let image: Uint8Array = this.#durable.slice()
    for (const write of this.#writes) {
      if (write.isDurable) image = place(image, write.offset, write.bytes)
    }
    return image
  }

  /** What had been issued when the sync began is durable once it ended. */
  pending(): readonly Write[] {
    return [...this.#writes]
  }

  settle(writes: readonly Write[]): void {
    this.durableVersion += 1
    for (const write of writes) write.isDurable = true
    while (this.#writes[0]?.isDurable === true) {
      const write = this.#writes.shift() as Write
      this.#durable = place(this.#durable, write.offset, write.bytes)
    }
  }

  /** After a failed sync the pages count as clean, still show the data, and never get saved. */
  forget(writes: readonly Write[]): void {
    this.#writes = this.#writes.filter((write) => write.isDurable || !writes.includes(write))
    this.settle([])
  }

  /** Each sector of each unsynced write is kept, lost or garbage, on its own. */
  crash(random: SeededRandom, odds: CrashOdds): void {
    for (const write of this.#writes) {
      for (let at = 0; at < write.bytes.length; ) {
        const end = Math.min(write.bytes.length, sectorEnd(write.offset + at) - write.offset)
        const isGarbage = !write.isDurable && random.chance(odds.garbage)
        const sector = isGarbage ? random.bytes(end - at) : write.bytes.subarray(at, end)
        const isKept = write.isDurable || isGarbage || random.chance(odds.kept)
        if (isKept) this.#durable = place(this.#durable, write.offset + at, sector)
        at = end
      }
    }
    this.#writes = []
    this.durableVersion += 1
    this.seenVersion += 1
    this.#seen = this.#durable.slice()
  }

  /** Damage to what is already safe on the disk. */
  damage(offset: number, bytes: Uint8Array): void {
    this.durableVersion += 1
    this.seenVersion += 1
    this.#seen = place(this.#seen, offset, bytes)
    this.#durable = place(this.#durable, offset, bytes)
  }
}

export type { Write }

function sectorEnd(offset: number): number {
  return (Math.floor(offset / SECTOR_BYTES) + 1) * SECTOR_BYTES
}

function place(image: Uint8Array, offset: number, bytes: Uint8Array): Uint8Array {
  const end = offset + bytes.length
  let target = image
  if (end > image.length) {
    target = new Uint8Array(end)
    target.set(image)
  }
  target.set(bytes, offset)
  return target
}
