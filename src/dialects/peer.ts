import { createRequire } from 'node:module'
import { ColmenaError } from '../index.ts'

/**
 * Loads a module of a package that the application has if it wants it: here, and not when this
 * file is loaded, so that nothing fails for who never asks.
 *
 * @throws ColmenaError ERR_MISSING_PACKAGE with what installs it.
 */
export function requirePeer<Module>(name: string, specifier: string = name): Module {
  try {
    return createRequire(import.meta.url)(specifier) as Module
  } catch (cause) {
    if (!isNotFound(cause)) throw cause
    throw new ColmenaError(
      'ERR_MISSING_PACKAGE',
      `colmena/${name} needs the package '${name}', which is not installed: npm install ${name}`,
      { cause },
    )
  }
}

/** By `import` it has the same end, after another beginning. */
function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /MODULE_NOT_FOUND$/.test(String(error.code))
}
