/** Kysely and Knex are the application's own: without them their subpaths load, and say so. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const asUrl = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`

/** Runs a script in an application that lacks the package. */
async function runWithout(packageName: string, script: string): Promise<string> {
  const hide = `
    import { registerHooks } from 'node:module'
    registerHooks({
      resolve(specifier, context, next) {
        if (specifier.split('/')[0] !== '${packageName}') return next(specifier, context)
        throw Object.assign(new Error('hidden'), { code: 'MODULE_NOT_FOUND' })
      },
    })`
  const args = ['--import', asUrl(hide), '--input-type=module', '--eval', script]
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 })
  return stdout
}

for (const [packageName, call] of [
  ['kysely', 'new dialects.ColmenaDialect({})'],
  ['knex', 'dialects.knexClient({})'],
] as const) {
  test(`without ${packageName} its subpath loads, and its use names the command`, async () => {
    const path = new URL(`../../src/dialects/${packageName}.ts`, import.meta.url)
    const stdout = await runWithout(
      packageName,
      `const dialects = await import(${JSON.stringify(fileURLToPath(path))})
      try {
        ${call}
      } catch ({ name, code, message }) {
        console.log(name, code, message)
      }`,
    )
    assert.equal(
      stdout,
      `ColmenaError ERR_MISSING_PACKAGE colmena/${packageName} needs the package ` +
        `'${packageName}', which is not installed: npm install ${packageName}\n`,
    )
  })
}
