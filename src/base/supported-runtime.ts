import { ColmenaError } from './errors.ts'

/**
 * Imported first, so that on a Node.js that lacks what everything below needs, the import of the
 * package fails with one sentence instead of a stack trace from its depths. What the version alone
 * can't tell is probed when the first node opens.
 *
 * @throws ColmenaError ERR_UNSUPPORTED_RUNTIME
 */
export function requireSupportedVersion(version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > 24 || (major === 24 && minor >= 14)) return
  throw new ColmenaError(
    'ERR_UNSUPPORTED_RUNTIME',
    `Colmena needs Node.js 24.14 or later and this is ${version}: in a clone of Colmena run it ` +
      'with `npx node`, elsewhere install a newer Node.js (`npm install node@24` brings one).',
  )
}

requireSupportedVersion(process.versions.node)
