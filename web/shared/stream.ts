/**
 * Server-sent events by `fetch`: `EventSource` can neither send a token, nor say why it failed, nor
 * notice a peer that has gone silent.
 */

export type Link =
  | { readonly state: 'connecting' }
  | { readonly state: 'live' }
  | {
      readonly state: 'lost'
      readonly since: number
      readonly reason: string
      /** Of an answer that was no stream; null if there was none. */
      readonly status: number | null
    }

export interface StreamOptions {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  /** A stream from which nothing was heard for so long is opened anew. */
  readonly silenceMsMax: number
  readonly signal: AbortSignal
  event(name: string, data: unknown): void
  link(link: Link): void
}

export interface StreamEvent {
  readonly name: string
  readonly data: string
}

class RefusedStream extends Error {
  readonly status: number

  constructor(status: number, words: string | null) {
    super(words ?? `the server answered ${status}`)
    this.status = status
  }
}

const retryMsMin = 500
const retryMsMax = 5_000

/** Stays connected until `signal` is aborted; each loss is told, and tried again. */
export async function followStream(options: StreamOptions): Promise<void> {
  const { signal, link } = options
  let lostSince: number | null = null
  let retryMs = retryMsMin
  link({ state: 'connecting' })
  while (!signal.aborted) {
    let reason = 'the server ended the stream'
    let status: number | null = null
    try {
      await readStream(options, () => {
        lostSince = null
        retryMs = retryMsMin
        link({ state: 'live' })
      })
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error)
      if (error instanceof RefusedStream) status = error.status
    }
    if (signal.aborted) return
    lostSince ??= Date.now()
    link({ state: 'lost', since: lostSince, reason, status })
    await pause(retryMs, signal)
    retryMs = Math.min(retryMsMax, retryMs * 2)
  }
}

async function readStream(options: StreamOptions, opened: () => void): Promise<void> {
  const silence = new AbortController()
  const silent = (): void => silence.abort(new Error('nothing was heard from the server'))
  let timer = setTimeout(silent, options.silenceMsMax)
  try {
    const response = await fetch(options.url, {
      headers: { accept: 'text/event-stream', ...options.headers },
      signal: AbortSignal.any([options.signal, silence.signal]),
      cache: 'no-store',
    })
    if (!response.ok || response.body === null) {
      throw new RefusedStream(response.status, await readRefusal(response))
    }
    opened()
    const parse = createParser()
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      clearTimeout(timer)
      timer = setTimeout(silent, options.silenceMsMax)
      for (const { name, data } of parse(value)) options.event(name, JSON.parse(data))
    }
  } finally {
    clearTimeout(timer)
    // A stream that is left for any reason must not keep its connection.
    silence.abort()
  }
}

/** Why the server answers with no stream, in its own words; null if it did not say. */
async function readRefusal(response: Response): Promise<string | null> {
  try {
    const { error } = (await response.json()) as { readonly error: { readonly message: string } }
    return error.message
  } catch {
    return null
  }
}

/**
 * Runs `follow` while the page is seen, until `signal` is aborted. A browser has six connections to
 * a server for all its tabs: those in the background would take them from the one in front.
 */
export function whileSeen(signal: AbortSignal, follow: (signal: AbortSignal) => void): void {
  let seen: AbortController | null = null
  const look = (): void => {
    if (document.hidden) {
      seen?.abort()
      seen = null
    } else if (seen === null) {
      seen = new AbortController()
      follow(AbortSignal.any([signal, seen.signal]))
    }
  }
  document.addEventListener('visibilitychange', look, { signal })
  look()
}

/** Takes text as it comes and gives the events that it completes; comments are heartbeats. */
export function createParser(): (text: string) => StreamEvent[] {
  let rest = ''
  return (text) => {
    const blocks = (rest + text).replaceAll('\r\n', '\n').split('\n\n')
    rest = blocks.pop() ?? ''
    return blocks.flatMap(parseBlock)
  }
}

function parseBlock(block: string): StreamEvent[] {
  let name = 'message'
  const data: string[] = []
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    const value = line.slice(colon + 1).replace(/^ /, '')
    if (line.startsWith('event:')) name = value
    else if (line.startsWith('data:')) data.push(value)
  }
  return data.length === 0 ? [] : [{ name, data: data.join('\n') }]
}

/** Resolves after that time, or as soon as `signal` is aborted. */
export function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, durationMs)
    signal.addEventListener('abort', end)
  })
}
