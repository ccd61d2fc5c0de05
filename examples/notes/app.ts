/** The notes over HTTP: a page, three writes, and a stream that keeps every page up to date. */
import { readFile } from 'node:fs/promises'
import { Hono } from 'hono'
import { type SSEStreamingApi, streamSSE } from 'hono/streaming'
import { type ColmenaNode, type Database, isColmenaError } from '../../src/index.ts'
import { fromRow, type NoteRow, Notes } from './notes.ts'

const TEXT_LENGTH_MAX = 200

export function createApp(node: ColmenaNode, db: Database): Hono {
  const notes = new Notes(db)
  const app = new Hono()

  app.get('/', async (c) => {
    const page = await readFile(new URL('page.html', import.meta.url), 'utf8')
    return c.html(page.replaceAll('{{node}}', node.nodeId))
  })

  app.post('/notes', async (c) => {
    const { text } = await c.req.json<{ text?: unknown }>()
    if (typeof text !== 'string' || text.trim() === '' || text.length > TEXT_LENGTH_MAX) {
      return c.json({ message: `a note has 1 to ${TEXT_LENGTH_MAX} characters` }, 400)
    }
    return c.json(await notes.add(text.trim()), 201)
  })

  app.patch('/notes/:id{[0-9]+}', async (c) => {
    const { isDone } = await c.req.json<{ isDone?: unknown }>()
    if (typeof isDone !== 'boolean') return c.json({ message: 'isDone is true or false' }, 400)
    const isThere = await notes.tick(Number(c.req.param('id')), isDone)
    return isThere ? c.body(null, 204) : c.json({ message: 'this note is gone' }, 404)
  })

  app.delete('/notes/:id{[0-9]+}', async (c) => {
    await notes.remove(Number(c.req.param('id')))
    return c.body(null, 204)
  })

  /**
   * First the whole list, then each change. A browser that lost its stream asks again with the id
   * of the last event, which is a log index: so it goes on from there, and misses nothing.
   */
  app.get('/events', (c) =>
    streamSSE(c, async (stream) => {
      const gone = new AbortController()
      stream.onAbort(() => gone.abort())
      let from = Number(c.req.header('last-event-id') ?? '') || undefined
      while (!gone.signal.aborted) {
        try {
          await follow(db, notes, stream, from, gone.signal)
        } catch (error) {
          const code = isColmenaError(error) ? error.code : ''
          if (gone.signal.aborted || code === 'ERR_CLOSED') return
          if (code !== 'ERR_FELL_BEHIND') throw error
          // It was away for longer than changes are kept: the list again, and on from there.
          from = undefined
        }
      }
    }),
  )

  app.onError((error, c) => {
    if (error instanceof SyntaxError) return c.json({ message: 'the body is no JSON' }, 400)
    if (!isColmenaError(error)) throw error
    // Where the outcome is unknown the note may be there: the page shows what is.
    return c.json({ code: error.code, message: error.message, outcome: error.outcome }, 503)
  })
  return app
}

async function follow(
  db: Database,
  notes: Notes,
  stream: SSEStreamingApi,
  from: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  await using changes = db.changes<NoteRow>({ tables: ['notes'], from, signal })
  const index = await changes.start()
  if (from === undefined) {
    const list = JSON.stringify(await notes.list())
    await stream.writeSSE({ event: 'list', id: String(index), data: list })
  }
  for await (const change of changes) {
    if (change.kind === 'schema') continue
    const { after, before, isLast } = change
    const data =
      after === null
        ? { event: 'gone', data: JSON.stringify(before?.id) }
        : { event: 'note', data: JSON.stringify(fromRow(after)) }
    // Only the last change of an index says that all of it was told.
    await stream.writeSSE(isLast ? { ...data, id: String(change.index) } : data)
  }
}
