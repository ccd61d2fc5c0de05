/** The pages of the package. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readPage } from '../docs/pages.ts'
import { ask, assertFailure, openNode, serve } from './rig.ts'

describe('pages', () => {
  it('are text, load only from beside themselves, and are asked for again with their tag', async (t) => {
    const { url } = await serve(t, await openNode(t))
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
    const { url } = await serve(t, await openNode(t))
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
