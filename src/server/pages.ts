import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ColmenaError } from '../index.ts'
import type { Route } from './routes.ts'

// Sources and build both lie two folders below the package's own.
const PACKAGE = new URL('../../', import.meta.url)
const WEB = 'dist/web/'
const PAPERS = ['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md']

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.md': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** The pages load from beside themselves, send only there, and stand in nobody else's frame. */
const SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

interface Page {
  readonly content: Buffer<ArrayBuffer>
  readonly headers: Readonly<Record<string, string>>
}

/**
 * The pages of the package. All there are is found out once, at the first request, and nothing
 * else is looked up: so no path that a client makes up leads anywhere.
 */
export function createPageRoutes(root: URL = PACKAGE): Route[] {
  let pages: ReadonlyMap<string, Page> | undefined
  const answer: Route['answer'] = ({ request, param }) => {
    pages ??= readPages(root)
    const name = param('name')
    const folder = param('folder')
    const path = folder === '' ? name : `${folder}/${name}`
    const page = pages.get(path)
    if (page !== undefined) return toResponse(page, request)
    throw new ColmenaError(
      'ERR_NOT_FOUND',
      path === ''
        ? 'the pages are not built: run `npm run build` in the folder of the package'
        : `there is no page ${path}`,
    )
  }
  const paths = ['/', '/:folder{assets|docs}/:name', `/:name{${PAPERS.join('|')}}`]
  return paths.map((path) => ({ method: 'GET', path, right: null, answer }))
}

function readPages(root: URL): Map<string, Page> {
  const pages = new Map<string, Page>()
  const add = (path: string, file: string): void => {
    const page = readPage(new URL(file, root))
    if (page !== undefined) pages.set(path, page)
  }
  add('', `${WEB}cluster.html`)
  for (const name of listFolder(new URL(`${WEB}assets/`, root)))
    add(`assets/${name}`, `${WEB}assets/${name}`)
  for (const name of listFolder(new URL('docs/', root))) add(`docs/${name}`, `docs/${name}`)
  for (const name of PAPERS) add(name, name)
  return pages
}

function readPage(file: URL): Page | undefined {
  const contentType = CONTENT_TYPES[extname(file.pathname)]
  if (contentType === undefined) return undefined
  const content = ifThere(() => readFileSync(fileURLToPath(file)))
  if (content === undefined) return undefined
  const hash = createHash('sha256').update(content).digest('base64url').slice(0, 22)
  // The build puts a hash of the content into the names of assets: under one name, one content.
  const isLasting = /\/assets\/.*-[\w-]{8}\.\w+$/.test(file.pathname)
  return {
    content,
    headers: {
      'content-type': contentType,
      'cache-control': isLasting ? 'public, max-age=31536000, immutable' : 'no-cache',
      'content-security-policy': SECURITY_POLICY,
      'referrer-policy': 'no-referrer',
      etag: `"${hash}"`,
    },
  }
}

function toResponse({ content, headers }: Page, request: Request): Response {
  const isKnown = request.headers.get('if-none-match') === headers['etag']
  return new Response(isKnown ? null : content, { status: isKnown ? 304 : 200, headers })
}

function listFolder(folder: URL): string[] {
  return ifThere(() => readdirSync(fileURLToPath(folder))) ?? []
}

/** What is not built is not there, which is no failure of this server. */
function ifThere<Found>(read: () => Found): Found | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
