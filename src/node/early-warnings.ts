import type { NodeEvents } from './events.ts'

/** Warnings of a node that opens, for who listens once it is open: the newest of each code. */
export class EarlyWarnings {
  #kept: Map<string, NodeEvents['warning']> | null = new Map()

  /** Whether the event waits until it can be heard. */
  keep(name: keyof NodeEvents, event: readonly unknown[]): boolean {
    if (name !== 'warning' || this.#kept === null) return false
    const warning = event as NodeEvents['warning']
    this.#kept.set(warning[0].code, warning)
    return true
  }

  /** Once whoever has just awaited the open could listen; from then on none waits. */
  tellSoon(tell: (...event: NodeEvents['warning']) => void): void {
    setImmediate(() => {
      const kept = [...(this.#kept ?? []).values()]
      this.#kept = null
      for (const warning of kept) queueMicrotask(() => tell(...warning))
    })
  }
}
