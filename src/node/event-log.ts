import type { NodeEvents } from './events.ts'
import type { Logger } from './options.ts'

/** Tells the application's logger of an event. */
export function logEvent(
  logger: Logger,
  name: keyof NodeEvents,
  [event]: readonly unknown[],
): void {
  switch (name) {
    case 'progress':
      logger.debug?.('applied', event)
      break
    case 'applied':
      break
    case 'warning':
      logger.warn?.((event as NodeEvents['warning'][0]).message, event)
      break
    case 'divergence':
      logger.error?.((event as NodeEvents['divergence'][0]).reason, event)
      break
    case 'slow': {
      const { kind, database, durationMs, sql } = event as NodeEvents['slow'][0]
      const tookMs = Math.round(durationMs)
      logger.warn?.(`a ${kind} of database '${database}' took ${tookMs} ms: ${sql}`, event)
      break
    }
    case 'closed': {
      const closed = event as NodeEvents['closed'][0]
      if (closed.reason === 'failed') logger.error?.('this node has failed', event)
      else logger.info?.('this node is closed', event)
      break
    }
    default:
      logger.info?.(`${name} changed`, event)
  }
}
