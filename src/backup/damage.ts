import { ColmenaError } from '../index.ts'
import type { BackupTarget } from './target.ts'

/** An object that is not what was put there, by its name. */
export function damaged(
  { label }: Pick<BackupTarget, 'label'>,
  name: string,
  what: string,
  cause?: unknown,
): ColmenaError {
  return new ColmenaError('ERR_BACKUP_DAMAGED', `${label}: ${name} ${what}`, { cause })
}
