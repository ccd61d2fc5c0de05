import type { JoinSource } from '../index.ts'
import type { Discovery } from './discovery.ts'

/** A discovery as `open` asks for it, which remembers what it found last. */
export class Finding {
  readonly #discovery: Discovery
  readonly #address: string
  #announcing: Promise<void> | null = null
  /** null while nobody knows: before the first answer, after a failure, after a part of one. */
  #found: ReadonlySet<string> | null = null

  constructor(discovery: Discovery, address: string) {
    this.#discovery = discovery
    this.#address = address
  }

  /** Announced with the first question, and until it succeeds: a network may come up later. */
  readonly source: JoinSource = async ({ signal }) => {
    this.#found = null
    this.#announcing ??= this.#discovery.announce(this.#address)
    try {
      await this.#announcing
    } catch (error) {
      this.#announcing = null
      throw error
    }
    const { addresses, isAll } = await this.#discovery.find({ signal })
    if (isAll) this.#found = new Set(addresses)
    return addresses
  }

  /** What can't be known counts as found: nobody is removed for a DNS that is down. */
  isFound(address: string): boolean {
    return this.#found?.has(address) ?? true
  }
}
