import type { ColmenaError } from '../base/errors.ts'
import type { Cancel } from '../base/ports.ts'
import type { MemberId } from '../raft/types.ts'
import type { Channel } from './channel.ts'
import type { TransportContext } from './config.ts'
import type { Dialer } from './dialer.ts'
import type { PeerHello, SnapshotManifest } from './port.ts'
import { SnapshotReceiver } from './snapshot-receiver.ts'
import { SnapshotSender, type SnapshotTarget } from './snapshot-sender.ts'

/** All snapshot streams of one transport, in both directions. */
export class SnapshotStreams {
  readonly #context: TransportContext
  readonly #dialer: Dialer
  readonly #senders = new Set<SnapshotSender>()
  /** One per member: a second one means that the first is dead, though it may not know it. */
  readonly #receivers = new Map<MemberId, SnapshotReceiver>()
  /** What comes next for a member, once its old receiver has let go of its files. */
  readonly #successors = new Map<MemberId, { channel: Channel; start: () => void }>()
  #isClosed = false

  constructor(context: TransportContext, dialer: Dialer) {
    this.#context = context
    this.#dialer = dialer
  }

  send(
    target: SnapshotTarget,
    manifest: SnapshotManifest,
    directory: string,
    done: (error: ColmenaError | null) => void,
  ): Cancel {
    let sender: SnapshotSender
    const ended = (error: ColmenaError | null): void => {
      this.#senders.delete(sender)
      done(error)
    }
    try {
      sender = new SnapshotSender(this.#context, this.#dialer, target, manifest, directory, ended)
    } catch (error) {
      process.nextTick(done, error as ColmenaError)
      return () => {}
    }
    this.#senders.add(sender)
    return () => sender.destroy()
  }

  admit(channel: Channel, hello: PeerHello): void {
    const from = hello.memberId
    const start = (): void => {
      if (channel.isOpen) this.#receive(channel, from)
    }
    const current = this.#receivers.get(from)
    if (current === undefined) {
      start()
      return
    }
    this.#successors.get(from)?.channel.destroy()
    this.#successors.set(from, { channel, start })
    channel.pause()
    current.destroy()
  }

  /** Ends all streams; those that send begin again where they were. */
  renew(): void {
    this.#endSuccessors()
    for (const sender of [...this.#senders]) sender.interrupt()
    for (const receiver of [...this.#receivers.values()]) receiver.destroy()
  }

  close(): void {
    this.#isClosed = true
    this.#endSuccessors()
    for (const sender of [...this.#senders]) sender.destroy()
    for (const receiver of [...this.#receivers.values()]) receiver.destroy()
  }

  #endSuccessors(): void {
    for (const { channel } of this.#successors.values()) channel.destroy()
    this.#successors.clear()
  }

  #receive(channel: Channel, from: MemberId): void {
    const { handlers, warnings } = this.#context
    const receiver = new SnapshotReceiver(this.#context, channel, {
      offered: (manifest, accept, refuse) => {
        if (!this.#isClosed) handlers.snapshotOffered(from, manifest, accept, refuse)
      },
      received: (manifest, error) => {
        if (!this.#isClosed) handlers.snapshotReceived(from, manifest, error)
      },
      warn: (fault) => {
        const message = `closed the snapshot stream of member ${from}: ${fault.message}`
        warnings.warn('ERR_FAILED', `snapshot of ${from}`, message, fault)
      },
      released: () => {
        this.#receivers.delete(from)
        const next = this.#successors.get(from)
        this.#successors.delete(from)
        next?.start()
        next?.channel.resume()
      },
    })
    this.#receivers.set(from, receiver)
  }
}
