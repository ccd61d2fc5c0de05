import type { JoinSource } from '../index.ts'
import type { Discovery } from './discovery.ts'

/** A discovery as `open` asks for it, which remembers what it found last. */
export class Finding {
  readonly #discovery: Discovery
  readonly #address: string
  #announcing: Promise<void> | null = null
  #found: ReadonlySet<string> = new Set()

  constructor(discovery: Discovery, address: string) {
    this.#discovery = discovery
    this.#address = address
  }

  /** Announced with the first question, and until it succeeds: a network may come up later. */
  readonly source: JoinSource = async ({ signal }) => {
    this.#announcing ??= this.#discovery.announce(this.#address)
    try {
      await this.#announcing
    } catch (error) {
      this.#announcing = null
      throw error
    }
    const addresses = await this.#discovery.find({ signal })
    this.#found = new Set(addresses)
    return addresses
  }

  isFound(address: string): boolean {
    return this.#found.has(address)
  }
}
