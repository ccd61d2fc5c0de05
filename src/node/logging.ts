import type { Logger } from './options.ts'

/**
 * pino puts its serializers on each logger, children included, under a symbol that it registers
 * for everybody to see. Methods tell nothing: pino's have the names of everyone else's, and only
 * take their arguments the other way round.
 */
const PINO_MARK = Symbol.for('pino.serializers')

/** What is used of pino's loggers. */
interface PinoLogger {
  debug(details: object, message: string): void
  info(details: object, message: string): void
  warn(details: object, message: string): void
  error(details: object, message: string): void
}

/** Any logger that `open` takes, as one that takes the message first. */
export function toLogger(logger: Logger): Logger {
  return PINO_MARK in logger ? fromPino(logger as unknown as PinoLogger) : logger
}

function fromPino(pino: PinoLogger): Logger {
  return {
    debug: (message, details) => pino.debug(toFields(details), message),
    info: (message, details) => pino.info(toFields(details), message),
    warn: (message, details) => pino.warn(toFields(details), message),
    error: (message, details) => pino.error(toFields(details), message),
  }
}

/** pino writes an error out where it is called `err`; under another name it is an empty object. */
function toFields(details: unknown): object {
  if (typeof details !== 'object' || details === null) return {}
  if (!('cause' in details)) return details
  const { cause, ...fields } = details
  return { ...fields, err: cause }
}
