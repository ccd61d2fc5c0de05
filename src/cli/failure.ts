export interface CliErrorOptions extends ErrorOptions {
  /** Whether the same may go well in a moment. */
  readonly isPassing?: boolean | undefined
  /** Whether a server has no such thing. */
  readonly isMissing?: boolean | undefined
}

/** What ends a command: one sentence that says what happened and what to do. */
export class CliError extends Error {
  override readonly name: string = 'CliError'
  /** 1: it failed; 2: it was called wrongly. */
  readonly exitCode: 1 | 2
  readonly isPassing: boolean
  readonly isMissing: boolean

  constructor(message: string, exitCode: 1 | 2 = 1, options: CliErrorOptions = {}) {
    super(message, options)
    this.exitCode = exitCode
    this.isPassing = options.isPassing === true
    this.isMissing = options.isMissing === true
  }
}

export function usageError(message: string): CliError {
  return new CliError(message, 2)
}

/** The sentence of whatever was thrown. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
