import type { ColmenaError } from '../base/errors.ts'

/** Called once with an error or a value that can cross threads. */
export type Answer = (error: ColmenaError | null, value: unknown) => void
