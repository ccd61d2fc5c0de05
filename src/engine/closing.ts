import type { Log } from '../log/log.ts'
import type { Transport } from '../transport/transport.ts'
import type { Core } from './core.ts'
import { awaitDeposition } from './leadership.ts'
import type { Applier, EnginePorts } from './ports.ts'

export interface ClosingParts {
  readonly ports: EnginePorts
  readonly electionTimeoutMs: number
  readonly core: Core | null
  readonly transport: Transport
  readonly log: Log | null
  readonly applier: Applier | null
  /** `isDurable`: whether all that the log was given is on the disk. */
  readonly done: (isDurable: boolean) => void
}

/**
 * Closes an engine: a leader hands over first, so that the others need not wait for a time-out;
 * then network, log and databases, in the reverse of the order in which they were opened.
 */
export function closeInOrder(parts: ClosingParts): void {
  const { ports, core, electionTimeoutMs } = parts
  if (core === null || core.raft.role !== 'leader' || !core.transferAway()) {
    closeAll(parts)
    return
  }
  awaitDeposition(core.raft, ports.clock, electionTimeoutMs, () => closeAll(parts))
}

function closeAll({ core, transport, log, applier, done }: ClosingParts): void {
  core?.close()
  transport.close(() => {
    const closeApplier = (isDurable: boolean): void => {
      if (applier === null) done(isDurable)
      else applier.close(() => done(isDurable))
    }
    // Without a log this engine has told nobody of anything.
    if (log === null) closeApplier(true)
    else log.close((error) => closeApplier(error === null))
  })
}
