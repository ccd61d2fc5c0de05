import { Backoff } from '../base/backoff.ts'
import { ByteReader, ByteWriter } from '../base/bytes.ts'
import type { ColmenaError } from '../base/errors.ts'
import type { Cancel } from '../base/ports.ts'
import type { MemberId } from '../raft/types.ts'
import type { Channel } from './channel.ts'
import type { TransportContext } from './config.ts'
import type { Dialer } from './dialer.ts'
import { FrameError } from './frame.ts'
import type { DisconnectCause, Lane, PeerHello } from './port.ts'
import { WIRE_KIND } from './wire-kind.ts'

const BACKOFF = { delayMsMin: 50, delayMsMax: 2000 }
const FAILURES_BEFORE_WARNING = 3
const PONG_BYTES = 8
const LANES: readonly Lane[] = ['control', 'bulk']

interface LaneState {
  readonly lane: Lane
  readonly backoff: Backoff
  channel: Channel | null
  /** Tries in a row that led to nothing. */
  failures: number
  wasUp: boolean
  upSinceMs: number
  /** Ends the dialing or the waiting that is going on. */
  cancel: Cancel | null
  isWaiting: boolean
}

/** The dialing end of both lanes to one peer: keeps them open, and probes them. */
export class PeerLink {
  readonly id: MemberId
  readonly address: string
  readonly #context: TransportContext
  readonly #dialer: Dialer
  readonly #control: LaneState
  readonly #bulk: LaneState
  #isClosed = false
  hello: PeerHello | null = null
  lastError: ColmenaError | null = null
  heardMs: number | null = null
  rttMs: number | null = null

  constructor(context: TransportContext, dialer: Dialer, id: MemberId, address: string) {
    this.id = id
    this.address = address
    this.#context = context
    this.#dialer = dialer
    const [control, bulk] = LANES.map(
      (lane): LaneState => ({
        lane,
        backoff: new Backoff(BACKOFF, context.config.random),
        channel: null,
        failures: 0,
        wasUp: false,
        upSinceMs: 0,
        cancel: null,
        isWaiting: false,
      }),
    ) as [LaneState, LaneState]
    this.#control = control
    this.#bulk = bulk
    this.#dial(control)
    this.#dial(bulk)
  }

  get isConnected(): boolean {
    return this.#control.channel?.isOpen === true
  }

  get queuedBytes(): number {
    return (this.#control.channel?.queuedBytes ?? 0) + (this.#bulk.channel?.queuedBytes ?? 0)
  }

  send(lane: Lane, kind: number, parts: readonly Uint8Array[]): boolean {
    const { channel } = lane === 'control' ? this.#control : this.#bulk
    return channel?.send(kind, parts) ?? false
  }

  /** The peer just dialed us, so it is up: no reason to wait any longer. */
  dialNow(): void {
    for (const state of [this.#control, this.#bulk]) {
      if (!state.isWaiting) continue
      state.cancel?.()
      state.backoff.reset()
      this.#dial(state)
    }
  }

  /** Probes the link, and closes it if it has been silent for too long. */
  ping(): void {
    const { clock, silenceMsMax } = this.#context.config
    const { channel, upSinceMs } = this.#control
    if (channel === null) return
    const nowMs = clock.nowMs()
    if (nowMs - Math.max(upSinceMs, this.heardMs ?? 0) > silenceMsMax) {
      channel.destroy()
      this.#bulk.channel?.destroy()
      return
    }
    channel.send(WIRE_KIND.ping, [new ByteWriter(PONG_BYTES).f64(nowMs).finish()])
  }

  /** Makes both lanes anew. What was on its way on the old ones may be lost, as ever. */
  renew(): void {
    for (const state of [this.#control, this.#bulk]) {
      const { channel } = state
      // A dial that is under way begins again by itself.
      if (channel === null) continue
      state.channel = null
      channel.send(WIRE_KIND.goodbye, [])
      channel.finish()
      this.#dial(state)
    }
    this.dialNow()
  }

  /**
   * Ends both lanes. With 'link' the peer is told that this process lives on; without a word it
   * takes the end for the end of the process.
   */
  close(cause: DisconnectCause): void {
    this.#isClosed = true
    for (const state of [this.#control, this.#bulk]) {
      state.cancel?.()
      state.cancel = null
      if (cause === 'link') state.channel?.send(WIRE_KIND.goodbye, [])
      state.channel?.finish()
    }
  }

  #dial(state: LaneState): void {
    const target = { address: this.address, expects: this.id, purpose: state.lane }
    state.isWaiting = false
    state.cancel = this.#dialer.dial(target, (error, channel, hello) => {
      state.cancel = null
      if (channel !== null && hello !== null) {
        this.#connected(state, channel, hello)
        return
      }
      if (error !== null) this.#failed(state, error)
      this.#wait(state)
    })
  }

  /** A peer that is down or restarts needs no warning; one that goes on refusing us does. */
  #failed(state: LaneState, error: ColmenaError): void {
    this.lastError = error
    state.failures += 1
    const isUnreachable = error.code === 'ERR_FAILED' || error.code === 'ERR_TIMEOUT'
    if (isUnreachable || (error.retryable && state.failures < FAILURES_BEFORE_WARNING)) return
    const message = `no link to member ${this.id}: ${error.message}`
    this.#context.warnings.warn(error.code, `to ${this.id}`, message, error)
  }

  #wait(state: LaneState): void {
    if (this.#isClosed) return
    state.isWaiting = true
    const { clock } = this.#context.config
    state.cancel = clock.setTimer(state.backoff.next(), () => this.#dial(state))
  }

  #connected(state: LaneState, channel: Channel, hello: PeerHello): void {
    const { config, warnings, traffic } = this.#context
    const { frameBytesMax, sendQueueBytesMax } = config
    state.channel = channel
    state.failures = 0
    if (state.wasUp) traffic.reconnects += 1
    state.wasUp = true
    state.upSinceMs = config.clock.nowMs()
    this.hello = hello
    this.lastError = null
    this.heardMs = state.upSinceMs
    channel.admit(
      { frameBytesMax, queueBytesMax: sendQueueBytesMax },
      {
        frame: (kind, body) => this.#receive(channel, kind, body),
        closed: (_end, fault) => {
          if (fault !== null) {
            const message = `closed the ${state.lane} link to member ${this.id}: ${fault.message}`
            warnings.warn('ERR_FAILED', `to ${this.id}`, message, fault)
          }
          if (state.channel === channel) this.#channelClosed(state)
        },
      },
    )
    if (state.lane === 'control') this.ping()
  }

  /** Nothing but pongs comes back here: the peer's own frames come over the links it dials. */
  #receive(channel: Channel, kind: number, body: Uint8Array): void {
    if (kind !== WIRE_KIND.pong || body.length !== PONG_BYTES) {
      channel.fail(new FrameError(`a frame of kind ${kind} on a link's way back`))
      return
    }
    const nowMs = this.#context.config.clock.nowMs()
    this.heardMs = nowMs
    this.rttMs = Math.max(0, nowMs - new ByteReader(body).f64())
  }

  #channelClosed(state: LaneState): void {
    state.channel = null
    const livedMs = this.#context.config.clock.nowMs() - state.upSinceMs
    // A link that dies young counts as a failure, or a peer that drops us would be dialed 20
    // times a second.
    if (livedMs >= BACKOFF.delayMsMax) state.backoff.reset()
    this.#wait(state)
  }
}
