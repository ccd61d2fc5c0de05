import { randomBytes } from 'node:crypto'
import { processNowMs } from '../base/process-clock.ts'
import { type LogOptions, type OpenDone, openRealDisk, type Recovered } from '../log/log.ts'
import type { Identity } from './identity.ts'

/** How the log of a node that does not run is opened or made. */
export function closedLogOptions(
  directory: string,
  { clusterId, memberId }: Pick<Identity, 'clusterId' | 'memberId'>,
  segmentBytes: number,
): LogOptions {
  return {
    disk: openRealDisk(directory),
    directory: 'log',
    clusterId: Buffer.from(clusterId, 'hex'),
    memberId,
    segmentBytes,
    random: { u32: () => randomBytes(4).readUInt32LE() },
    clock: { nowMs: processNowMs },
    // The append that failed says so as well.
    fatal: () => {},
  }
}

export function opened(open: (done: OpenDone) => void): Promise<Recovered> {
  return new Promise((resolve, reject) => {
    open((error, recovered) => {
      if (recovered !== null) resolve(recovered)
      else reject(error ?? new Error('the log did not open'))
    })
  })
}

export async function closeLog({ log }: Recovered): Promise<void> {
  await completed((done) => log.close(done))
}

export function completed(start: (done: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => {
      if (error === null) resolve()
      else reject(error)
    })
  })
}
