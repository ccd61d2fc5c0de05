/** What went over all sockets of one transport since it was opened, links and calls alike. */
export interface TrafficValue {
  readonly sentBytes: number
  readonly receivedBytes: number
  /** How often a link of this node to a member was made again after it was lost. */
  readonly reconnects: number
  /** Connections that failed because the two sides share no format. */
  readonly formatRejects: number
}

/** The counts behind {@link TrafficValue}. */
export class Traffic implements TrafficValue {
  sentBytes = 0
  receivedBytes = 0
  reconnects = 0
  formatRejects = 0

  /** A connection was refused, by either side. */
  refused(code: string): void {
    if (code === 'ERR_UNSUPPORTED_FORMAT') this.formatRejects += 1
  }

  value(): TrafficValue {
    const { sentBytes, receivedBytes, reconnects, formatRejects } = this
    return { sentBytes, receivedBytes, reconnects, formatRejects }
  }
}
