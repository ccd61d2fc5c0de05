/** The pages of the package. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { describe, it, type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { createPageRoutes } from '../../src/server/pages.ts'
import type { Call } from '../../src/server/routes.ts'
import { readPage } from '../docs/pages.ts'
import { shareNode } from '../node/shared-node.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import { ask, assertFailure, serve } from './rig.ts'

describe('pages', () => {
  it('are text, load only from beside themselves, and come once until they change', async (t) => {
    const { url } = await serve(t, (await shareNode()).node)
    for (const [path, page] of [
      ['/README.md', 'README.md'],
      ['/docs/errors.md', 'docs/errors.md'],
    ] as const) {
      const { status, headers, text } = await ask(url, path)
      assert.equal(status, 200)
      assert.equal(text, readPage(page))
      assert.equal(headers.get('content-type'), 'text/plain; charset=utf-8')
      assert.match(
        headers.get('content-security-policy') ?? '',
        /^default-src 'none'; script-src 's/,
      )
      assert.equal(headers.get('cache-control'), 'no-cache')
      const tag = headers.get('etag') ?? ''
      const again = await ask(url, path, { headers: { 'if-none-match': tag } })
      assert.deepEqual([again.status, again.text], [304, ''])
    }
  })

  it('are these and no other file', async (t) => {
    const { url } = await serve(t, (await shareNode()).node)
    const paths = [
      '/docs/nothing.md',
      '/docs/..%2fpackage.json',
      '/docs/%2e%2e/package.json',
      '/assets/..%2f..%2f..%2fpackage.json',
      '/package.json',
      '/docs/__proto__',
    ]
    for (const path of paths) assertFailure(await ask(url, path), 404, 'ERR_NOT_FOUND')
  })
})

describe('the cluster page', () => {
  /** Asks the routes of a package that lies in `root`. */
  function askIn(root: URL, path: string, params: Record<string, string>): Response {
    const route = createPageRoutes(root).find((one) => one.path === path)
    const param = (name: string): string => params[name] ?? ''
    return route?.answer({ request: new Request('http://localhost/'), param } as Call) as Response
  }

  function makePackage(t: TestContext): URL {
    return pathToFileURL(`${temporaryDirectory(t)}/`)
  }

  it('that is not built says how to build it', (t) => {
    assert.throws(() => askIn(makePackage(t), '/', {}), {
      code: 'ERR_NOT_FOUND',
      message: /npm run build/,
    })
  })

  it('is asked for each time, and what it loads but once', async (t) => {
    const root = makePackage(t)
    mkdirSync(new URL('dist/web/assets/', root), { recursive: true })
    writeFileSync(new URL('dist/web/cluster.html', root), '<!doctype html>')
    writeFileSync(new URL('dist/web/assets/main-a1B2c3_4.js', root), 'main()')
    writeFileSync(new URL('dist/web/assets/icon.svg', root), '<svg/>')
    const page = askIn(root, '/', {})
    assert.equal(await page.text(), '<!doctype html>')
    assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8')
    assert.equal(page.headers.get('cache-control'), 'no-cache')
    const path = '/:folder{assets|docs}/:name'
    const script = askIn(root, path, { folder: 'assets', name: 'main-a1B2c3_4.js' })
    assert.equal(script.headers.get('content-type'), 'text/javascript; charset=utf-8')
    assert.match(script.headers.get('cache-control') ?? '', /immutable/)
    const icon = askIn(root, path, { folder: 'assets', name: 'icon.svg' })
    assert.equal(icon.headers.get('cache-control'), 'no-cache')
  })
})
