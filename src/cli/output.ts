import { CliError } from './failure.ts'

/**
 * What the command prints goes to whoever reads it, as long as he does: `| head` ends nothing but
 * its own reading, for a node must go on, and a bench must drop its table. Any other failure, such
 * as a full disk, is kept for the end, so that no lost output looks like success.
 */
export class Output {
  #failure: NodeJS.ErrnoException | null = null

  constructor() {
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') this.#failure ??= error
    })
    // There is nowhere left to tell of it.
    process.stderr.on('error', () => {})
  }

  /** @throws CliError if something that was printed is lost. */
  async flushed(): Promise<void> {
    await new Promise<void>((resolve) => process.stdout.write('', () => resolve()))
    if (this.#failure === null) return
    throw new CliError(`the output can't be written: ${this.#failure.message}`)
  }
}

/** Resolves when nobody takes what is printed. */
export function untilUnread(): Promise<void> {
  return new Promise((resolve) => process.stdout.once('error', () => resolve()))
}
