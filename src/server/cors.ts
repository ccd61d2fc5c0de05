import type { HandlerConfig } from './config.ts'

type Pages = Pick<HandlerConfig, 'origins'>

/** How long a browser need not ask again, in seconds: what most of them take at most. */
const PREFLIGHT_SECONDS = 7_200

/** Whether a browser asks if a page of another origin may call, before it lets the page do so. */
export function isPreflight({ method, headers }: Request, { origins }: Pages): boolean {
  const origin = headers.get('origin')
  return (
    method === 'OPTIONS' &&
    origin !== null &&
    origins.has(origin) &&
    headers.has('access-control-request-method')
  )
}

/**
 * Tells the browser that the page of an origin that the options name may read the answer. Cookies
 * are never meant: what this server asks for is a token.
 */
export function letPageRead(request: Request, response: Response, { origins }: Pages): Response {
  const origin = request.headers.get('origin')
  if (origins.size === 0) return response
  response.headers.append('vary', 'origin')
  if (origin === null || !origins.has(origin)) return response
  response.headers.set('access-control-allow-origin', origin)
  response.headers.set('access-control-expose-headers', '*')
  if (!isPreflight(request, { origins })) return response
  response.headers.set('access-control-allow-methods', 'GET, HEAD, POST, DELETE')
  const asked = request.headers.get('access-control-request-headers')
  if (asked !== null) response.headers.set('access-control-allow-headers', asked)
  response.headers.set('access-control-max-age', String(PREFLIGHT_SECONDS))
  return response
}
