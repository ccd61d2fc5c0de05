import type { SharedState } from '../base/shared-state.ts'
import { ApplyHooks } from './hooks.ts'
import type { StorageToUser, UserToStorage } from './storage-protocol.ts'

/** What listeners ask for, and that they have what they were told. */
type FromListeners = Exclude<UserToStorage, { readonly kind: 'status' }>

export interface HookMessagesOptions {
  readonly shared: SharedState
  readonly changesBytesMax: number | undefined
  readonly tell: (message: StorageToUser, transfer?: readonly ArrayBuffer[]) => void
}

/** What goes between the storage thread and the listeners on the user thread. */
export class HookMessages {
  /** For whoever applies. */
  readonly hooks: ApplyHooks
  readonly #tell: HookMessagesOptions['tell']

  constructor({ shared, changesBytesMax, tell }: HookMessagesOptions) {
    this.hooks = new ApplyHooks({ changesBytesMax, tellsWrites: () => shared.tellsWrites() })
    this.#tell = tell
  }

  heard(message: FromListeners): void {
    if (message.kind === 'listen') {
      this.hooks.ask(message.asked)
      this.#tell({ kind: 'listening', id: message.id })
    } else {
      this.hooks.taken()
      this.flush()
    }
  }

  /** Tells what listeners want to know, if they have what they were told before. */
  flush(): void {
    const news = this.hooks.take()
    if (news === null) return
    const bytes = news.writes.flatMap(({ command, result }) => [command.buffer, result.buffer])
    this.#tell({ kind: 'hooks', news }, bytes)
  }

  /** Files were replaced: whoever listens is to look again. */
  replaced(): void {
    this.hooks.touchedAll()
    this.flush()
  }
}
