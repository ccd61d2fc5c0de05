import { ColmenaError } from '../base/errors.ts'
import type { Reply, Transport } from '../transport/transport.ts'
import { Forming } from './forming.ts'
import { JoinDeadline } from './join-deadline.ts'
import { Joining } from './joining.ts'
import type { EnginePorts } from './ports.ts'
import type { EngineConfig } from './protocol.ts'
import { Search, type SearchDone } from './search.ts'
import { recordOf } from './settings.ts'
import { CALLS, encodeMeetAnswer } from './wire.ts'

const PAUSE_MS = 200
/** In a discovery window several rounds must have room. */
const ROUNDS_PER_WINDOW = 6

export interface EnteringParts {
  readonly config: EngineConfig
  readonly ports: EnginePorts
  readonly transport: Transport
}

/** A node's way into its cluster: where others may be, finding it or beginning one, joining it. */
export class Entering {
  /** null until a source of addresses has answered. */
  #found: readonly string[] | null = null
  #forming: Forming | null = null
  #deadline: JoinDeadline | null = null
  #search: Search | null = null
  #joining: Joining | null = null

  /** A source of addresses has others now. */
  setFound(addresses: readonly string[]): void {
    this.#found = addresses
    this.#forming?.sees()
  }

  /** Where nodes of this cluster may be: as `open` was told, and as its source says now. */
  addresses({ joinAddresses }: EngineConfig): readonly string[] {
    return [...new Set([...joinAddresses, ...(this.#found ?? [])])]
  }

  /** Looks for a cluster, or for others to begin one with. */
  search(parts: EnteringParts, done: SearchDone): void {
    const { config, ports, transport } = parts
    const { memberId, nodeId, forming: asked } = config
    const { clock } = ports
    const isBlind = config.hasJoinSource && this.#found === null
    const forming =
      asked === null ? null : new Forming({ clock, memberId, nodeId, isBlind, ...asked })
    this.#forming = forming
    const pauseMs = Math.min(PAUSE_MS, (asked?.windowMs ?? Infinity) / ROUNDS_PER_WINDOW)
    const options = {
      transport,
      clock,
      deadline: this.#deadlineOf(parts),
      addresses: () => this.addresses(config),
      ownAddress: config.advertise,
      own: { memberId, nodeId },
      forming,
      pauseMs: Math.max(1, Math.round(pauseMs)),
      warning: (code: string, message: string) => ports.toUser({ kind: 'warning', code, message }),
    }
    this.#search = new Search(options, done)
  }

  /** Someone asks, before this node is a member. */
  answer(kind: number, body: Uint8Array, reply: Reply): void {
    if (kind === CALLS.meet && this.#search !== null) this.#search.answer(body, reply)
    else reply(stillStarting())
  }

  joining(parts: EnteringParts): Joining {
    this.#joining ??= new Joining({
      transport: parts.transport,
      clock: parts.ports.clock,
      deadline: this.#deadlineOf(parts),
      addresses: () => this.addresses(parts.config),
    })
    return this.#joining
  }

  /** Has the leader take this node in; `failed` where it doesn't, or can't reach it then. */
  join(
    parts: EnteringParts,
    leaderAddress: string,
    isReached: () => boolean,
    failed: (error: ColmenaError) => void,
  ): void {
    if (this.addresses(parts.config).length === 0 && !parts.config.hasJoinSource) {
      const message =
        "this node never finished joining its cluster: give `open` the 'join' addresses again"
      failed(new ColmenaError('ERR_JOIN_FAILED', message))
      return
    }
    const joining = this.joining(parts)
    const own = recordOf(parts.config)
    joining.join(own, null, leaderAddress, (error) => {
      if (error === null) joining.awaitLeader(own.address, isReached, failed)
      else failed(error)
    })
  }

  stop(): void {
    this.#search?.stop()
    this.#joining?.stop()
  }

  #deadlineOf({ config, ports }: EnteringParts): JoinDeadline {
    this.#deadline ??= new JoinDeadline({
      clock: ports.clock,
      joinTimeoutMs: config.joinTimeoutMs,
      warning: (code, message) => ports.toUser({ kind: 'warning', code, message }),
    })
    return this.#deadline
  }
}

/** A member that has not opened its log yet: whoever looks for a cluster must not begin another. */
export function answerStarting(
  { clusterId, memberId }: EngineConfig,
  kind: number,
  reply: Reply,
): void {
  const bytes = Buffer.from(clusterId, 'hex')
  const met = { kind: 'member', clusterId: bytes, memberId, leaderAddress: '' } as const
  if (kind === CALLS.meet) reply(null, encodeMeetAnswer(met))
  else reply(stillStarting())
}

function stillStarting(): ColmenaError {
  return new ColmenaError('ERR_BUSY', 'this node is still starting', { retryable: true })
}
