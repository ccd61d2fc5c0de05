import { ColmenaError } from '../index.ts'
import type { Objects } from './objects.ts'

/** An object that is not what was put there, by its name. */
export function damaged(
  { label }: Pick<Objects, 'label'>,
  name: string,
  what: string,
  cause?: unknown,
): ColmenaError {
  return new ColmenaError('ERR_BACKUP_DAMAGED', `${label}: ${name} ${what}`, { cause })
}
