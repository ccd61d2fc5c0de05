import { ColmenaError } from '../index.ts'
import { show } from './option-checks.ts'

export const NAME_CHARACTERS_MAX = 500
export const PART_CHARACTERS_MAX = 200

const PART = /^[a-zA-Z0-9_-][a-zA-Z0-9._-]*$/

/** Names go into paths and addresses as they are. @throws ColmenaError ERR_INVALID_ARGUMENT */
export function checkName(name: unknown): string {
  if (typeof name === 'string' && isName(name)) return name
  throw invalid('name of an object', name)
}

/** What names may begin with. @throws ColmenaError ERR_INVALID_ARGUMENT */
export function checkPrefix(prefix: unknown): string {
  if (typeof prefix === 'string' && isPrefix(prefix)) return prefix
  throw invalid('beginning of names', prefix)
}

/** Nothing, or a name with or without a slash behind it. */
export function isPrefix(prefix: string): boolean {
  return prefix === '' || isName(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix)
}

export function isName(name: string): boolean {
  if (name.length > NAME_CHARACTERS_MAX) return false
  return name.split('/').every((part) => part.length <= PART_CHARACTERS_MAX && PART.test(part))
}

function invalid(what: string, value: unknown): ColmenaError {
  return new ColmenaError(
    'ERR_INVALID_ARGUMENT',
    `${show(value)} is no ${what}: it is of a-z, A-Z, 0-9, '.', '_' and '-' in parts of at most ` +
      `${PART_CHARACTERS_MAX} characters, joined by '/', ${NAME_CHARACTERS_MAX} in all, and no ` +
      'part begins with a dot',
  )
}
