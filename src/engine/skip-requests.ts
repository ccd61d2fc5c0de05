import { ColmenaError } from '../base/errors.ts'
import { type Reply, readReply } from '../transport/transport.ts'
import { callLeader } from './leader-calls.ts'
import {
  decodeHold,
  decodeSkipOrder,
  encodeSkipOrder,
  encodeSkipStand,
  type SkipOrder,
} from './skip-wire.ts'
import type { StatusParts } from './status.ts'
import { CALLS, decodeLeaderAnswer, encodeLeaderAnswer, type LeaderAnswer } from './wire.ts'

const PAUSE_MS = 50

/** Has the leader skip an entry, whoever leads by then; an election on the way is waited out. */
export function skipEntry(
  parts: StatusParts,
  order: SkipOrder,
  done: (error: ColmenaError | null) => void,
): void {
  const { config, ports } = parts
  const deadlineMs = ports.clock.nowMs() + config.requestTimeoutMs
  const ask = (): void => {
    askLeader(parts, order, (error, answer) => {
      if (answer?.kind === 'done') done(null)
      else if (answer?.kind === 'refused') done(answer.error)
      else if (ports.clock.nowMs() >= deadlineMs) done(error ?? noLeader())
      else ports.clock.setTimer(PAUSE_MS, ask)
    })
  }
  ask()
}

function askLeader(
  parts: StatusParts,
  order: SkipOrder,
  done: (error: ColmenaError | null, answer: LeaderAnswer | null) => void,
): void {
  const { core, config } = parts
  if (core.raft.role === 'leader') {
    core.skipping.skip(order, (answer) => done(null, answer))
  } else if (core.raft.leader === 0) {
    done(null, null)
  } else {
    const { requestTimeoutMs: timeoutMs } = config
    const answered = readReply(decodeLeaderAnswer, done)
    callLeader(parts, CALLS.skip, { body: encodeSkipOrder(order), timeoutMs }, answered)
  }
}

/** What another node asks: to stay or to go on, or, of a leader, to skip an entry. */
export function answerSkipCall(
  { core }: StatusParts,
  kind: number,
  body: Uint8Array,
  reply: Reply,
): void {
  const { skipping } = core
  if (kind === CALLS.skipStand) {
    skipping.stay(decodeHold(body), (stand) => reply(null, encodeSkipStand(stand)))
  } else if (kind === CALLS.skipRelease) {
    skipping.release(decodeHold(body))
    reply(null, new Uint8Array())
  } else {
    skipping.skip(decodeSkipOrder(body), (answer) => reply(null, encodeLeaderAnswer(answer)))
  }
}

function noLeader(): ColmenaError {
  const message = 'no leader could be asked to skip the entry'
  return new ColmenaError('ERR_NO_LEADER', message, { retryable: true })
}
