import { assert } from '../base/assert.ts'
import { release } from '../base/bytes.ts'
import type { Clock } from '../base/ports.ts'
import { decodeWriteHeader, encodeEmptyWrite } from '../command/command.ts'
import type { AppliedReport } from './ports.ts'
import type { ErrorMessage } from './protocol.ts'

interface PendingCommand {
  readonly sequence: number
  bytes: Uint8Array
  readonly sinceMs: number
  /** Whether it may be in some log: then only apply can tell what became of it. */
  wasSent: boolean
  /** Whether it went over a link, once: when it is applied, nothing on this node has its bytes. */
  isOnlyHere: boolean
}

/** The commands of one database, in order; everything before `unsent` was sent to this leader. */
interface Lane {
  readonly commands: PendingCommand[]
  unsent: number
  /** The next command goes out as one from which the leader counts anew. */
  isRestart: boolean
  /** When the first of them was last sent, and how often in vain. */
  sentMs: number
  tries: number
}

/** How a command goes out. */
export interface Sending {
  readonly isRestart: boolean
  /** It went out before, so its bytes may be in use. */
  readonly wasSent: boolean
}

/**
 * Which way a command of ours went: into this node's own log, which keeps its bytes, or over the
 * link to the leader. `none`: not now, ask again later.
 */
export type Way = 'log' | 'link' | 'none'
export type SendCommand = (bytes: Uint8Array, sending: Sending) => Way

/** A command without an answer is sent again at the latest after 2^n times `resendMs`. */
const RESEND_DOUBLINGS_MAX = 2

export interface OutboxOptions {
  readonly clock: Clock
  /** How long a command that no leader ever saw may wait for one. */
  readonly leaderWaitMs: number
  /** Without an apply for so long, all is sent again; doubled with each try in vain. */
  readonly resendMs: number
  readonly rejected: (database: string, from: number, to: number, error: ErrorMessage) => void
}

/**
 * This node's commands on their way into the log. They are sent in order and kept until this node
 * has applied them; after a refusal, a lost link or a new leader all that are not applied are sent
 * again from the first. Apply lets each through once, so sending too often is harmless, and a
 * command that is given up keeps its place as an empty one, so that none after it is a gap.
 */
export class Outbox {
  readonly #options: OutboxOptions
  readonly #lanes = new Map<string, Lane>()

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  get isEmpty(): boolean {
    for (const lane of this.#lanes.values()) if (lane.commands.length > 0) return false
    return true
  }

  add(database: string, sequence: number, bytes: Uint8Array): void {
    let lane = this.#lanes.get(database)
    if (lane === undefined) {
      lane = { commands: [], unsent: 0, isRestart: true, sentMs: 0, tries: 0 }
      this.#lanes.set(database, lane)
    }
    const last = lane.commands.at(-1)
    assert(last === undefined || sequence === last.sequence + 1, 'own sequences have no gap')
    const sinceMs = this.#options.clock.nowMs()
    lane.commands.push({ sequence, bytes, sinceMs, wasSent: false, isOnlyHere: false })
  }

  /** Sends what was not sent to this leader yet, until `send` takes no more. */
  flush(send: SendCommand): void {
    for (const lane of this.#lanes.values()) {
      while (lane.unsent < lane.commands.length) {
        const command = lane.commands[lane.unsent] as PendingCommand
        const { isRestart } = lane
        const way = send(command.bytes, { isRestart, wasSent: command.wasSent })
        if (way === 'none') {
          // No link: what went out on the last one may be lost with it.
          this.resendAll()
          return
        }
        if (lane.unsent === 0) lane.sentMs = this.#options.clock.nowMs()
        command.isOnlyHere = way === 'link' && !command.wasSent
        command.wasSent = true
        lane.isRestart = false
        lane.unsent += 1
      }
    }
  }

  /** Another leader, or another link to it: all that is not applied goes out again. */
  resendAll(): void {
    for (const lane of this.#lanes.values()) restart(lane, 0)
  }

  /** Frames can be lost without a word: what is not applied for long goes out again. */
  resendOverdue(): void {
    const nowMs = this.#options.clock.nowMs()
    for (const lane of this.#lanes.values()) {
      if (lane.unsent === 0) continue
      if (
        nowMs - lane.sentMs <
        this.#options.resendMs * 2 ** Math.min(lane.tries, RESEND_DOUBLINGS_MAX)
      )
        continue
      lane.tries += 1
      restart(lane, 0)
    }
  }

  /** The leader wants all from `sequence` on again, 0 for all. */
  refused(database: string, sequence: number): void {
    const lane = this.#lanes.get(database)
    const first = lane?.commands[0]
    if (lane === undefined || first === undefined) return
    restart(lane, Math.min(lane.unsent, Math.max(0, sequence - first.sequence)))
  }

  applied({ database, sequence }: AppliedReport['sequences'][number]): void {
    const lane = this.#lanes.get(database)
    const first = lane?.commands[0]
    if (lane === undefined || first === undefined || sequence < first.sequence) return
    const count = sequence - first.sequence + 1
    for (const { bytes, isOnlyHere } of lane.commands.splice(0, count)) {
      if (isOnlyHere) release(bytes)
    }
    lane.unsent = Math.max(0, lane.unsent - count)
    lane.sentMs = this.#options.clock.nowMs()
    lane.tries = 0
  }

  /**
   * While there is no leader: gives up what has waited too long and was never sent. Order must
   * hold, so only the slots are kept, empty.
   */
  expire(): void {
    const oldestMs = this.#options.clock.nowMs() - this.#options.leaderWaitMs
    for (const [database, lane] of this.#lanes) {
      for (const command of lane.commands) {
        if (command.wasSent || command.sinceMs > oldestMs) continue
        this.#giveUp(database, command)
      }
    }
  }

  #giveUp(database: string, command: PendingCommand): void {
    const { leaderWaitMs, rejected } = this.#options
    const { sequence } = command
    // It may be what makes the database, and those after it ask for what it asked for.
    command.bytes = encodeEmptyWrite(decodeWriteHeader(command.bytes))
    command.wasSent = true
    rejected(database, sequence, sequence, {
      code: 'ERR_NO_LEADER',
      message:
        `no leader was found within ${leaderWaitMs} ms, so the write was given up; it was not ` +
        'applied. Is a majority of the voters running and reachable?',
      retryable: true,
      outcome: 'not-applied',
    })
  }
}

function restart(lane: Lane, unsent: number): void {
  lane.unsent = unsent
  lane.isRestart = true
}
