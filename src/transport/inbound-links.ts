import type { MemberId } from '../raft/types.ts'
import type { Channel, ChannelEnd } from './channel.ts'
import type { TransportContext } from './config.ts'
import { FrameError } from './frame.ts'
import { equalBytes } from './hello.ts'
import type { DisconnectCause, Lane, PeerHello } from './port.ts'
import { OWNER_KIND_MAX, WIRE_KIND } from './wire-kind.ts'

/** How many probes may be missing before a process no longer counts as alive. */
const MISSED_PINGS_MAX = 3

/** The incoming links of one process of one member. */
interface Session {
  readonly hello: PeerHello
  readonly channels: Map<Lane, Channel>
  /** Lanes that were open and closed since, and whether the other side's kernel closed them. */
  readonly closedByPeer: Map<Lane, boolean>
  heardMs: number
  saidGoodbye: boolean
}

/** The accepting end of all links: hands frames up, and tells when a member's process is gone. */
export class InboundLinks {
  readonly #context: TransportContext
  readonly #sessions = new Map<MemberId, Session>()
  #isClosed = false

  constructor(context: TransportContext) {
    this.#context = context
  }

  find(id: MemberId): { readonly hello: PeerHello; readonly heardMs: number } | undefined {
    return this.#sessions.get(id)
  }

  /**
   * Whether another process of this member is linked and was heard lately: then a second one must
   * not come in, or one identity would vote twice. A process whose machine died says nothing and
   * keeps its sockets open, so silence ends the protection.
   */
  isOtherProcessAlive(hello: PeerHello): boolean {
    const session = this.#sessions.get(hello.memberId)
    if (session === undefined || equalBytes(session.hello.bootNonce, hello.bootNonce)) return false
    const { clock, pingMs } = this.#context.config
    return clock.nowMs() - session.heardMs < MISSED_PINGS_MAX * pingMs
  }

  admit(channel: Channel, lane: Lane, hello: PeerHello): void {
    const { config, handlers } = this.#context
    const id = hello.memberId
    let session = this.#sessions.get(id)
    if (session !== undefined && !equalBytes(session.hello.bootNonce, hello.bootNonce)) {
      this.#endSession(id, session, 'processGone')
      session = undefined
    }
    const isNew = session === undefined
    const heardMs = config.clock.nowMs()
    session ??= {
      hello,
      channels: new Map(),
      closedByPeer: new Map(),
      heardMs,
      saidGoodbye: false,
    }
    const replaced = session.channels.get(lane)
    session.channels.set(lane, channel)
    session.closedByPeer.delete(lane)
    session.saidGoodbye = false
    session.heardMs = heardMs
    replaced?.destroy()
    this.#sessions.set(id, session)
    this.#listen(channel, lane, session)
    if (isNew) handlers.connected(id, hello)
  }

  /** Closes the links of members that have been silent for too long. */
  sweep(): void {
    const { clock, silenceMsMax } = this.#context.config
    for (const session of this.#sessions.values()) {
      if (clock.nowMs() - session.heardMs <= silenceMsMax) continue
      for (const channel of session.channels.values()) channel.destroy()
    }
  }

  /** Ends all links: who dialed them dials again. */
  renew(): void {
    for (const id of [...this.#sessions.keys()]) this.end(id)
  }

  end(id: MemberId): void {
    for (const channel of this.#sessions.get(id)?.channels.values() ?? []) channel.destroy()
  }

  /** From now on nothing is handed up. */
  close(): void {
    this.#isClosed = true
    for (const session of this.#sessions.values()) {
      for (const channel of session.channels.values()) channel.destroy()
    }
    this.#sessions.clear()
  }

  #listen(channel: Channel, lane: Lane, session: Session): void {
    const { config, handlers, warnings } = this.#context
    const from = session.hello.memberId
    const { frameBytesMax, sendQueueBytesMax } = config
    channel.admit(
      { frameBytesMax, queueBytesMax: sendQueueBytesMax },
      {
        frame: (kind, body) => {
          session.heardMs = config.clock.nowMs()
          if (kind <= OWNER_KIND_MAX) handlers.frame(from, lane, kind, body)
          else if (kind === WIRE_KIND.ping) channel.send(WIRE_KIND.pong, [body])
          else if (kind === WIRE_KIND.goodbye) session.saidGoodbye = true
          else channel.fail(new FrameError(`a frame of kind ${kind} on a link`))
        },
        closed: (end, fault) => {
          if (fault !== null) {
            const message = `closed the ${lane} link of member ${from}: ${fault.message}`
            warnings.warn('ERR_FAILED', `member ${from}`, message, fault)
          }
          this.#channelClosed(channel, lane, session, end)
        },
      },
    )
  }

  #channelClosed(channel: Channel, lane: Lane, session: Session, end: ChannelEnd): void {
    const id = session.hello.memberId
    if (this.#sessions.get(id) !== session || session.channels.get(lane) !== channel) return
    session.channels.delete(lane)
    session.closedByPeer.set(lane, end === 'peer')
    if (session.channels.size > 0) return
    const isAllByPeer = [...session.closedByPeer.values()].every((byPeer) => byPeer)
    this.#endSession(id, session, isAllByPeer && !session.saidGoodbye ? 'processGone' : 'link')
  }

  #endSession(id: MemberId, session: Session, cause: DisconnectCause): void {
    this.#sessions.delete(id)
    for (const channel of session.channels.values()) channel.destroy()
    if (!this.#isClosed) this.#context.handlers.disconnected(id, cause)
  }
}
