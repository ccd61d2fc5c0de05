import { setTimeout as pause } from 'node:timers/promises'
import type { Backup } from '../backup/backup.ts'
import { ColmenaError, isColmenaError } from '../index.ts'
import type { HandlerConfig } from './config.ts'
import type { Route } from './routes.ts'

type Config = Pick<HandlerConfig, 'backup' | 'idleTimeoutMs'>

/** Nothing travels until an answer, and what idles longer is ended: here, or by a proxy. */
const ANSWER_MS_MAX = 20_000

/** The backup of this node, for people and for what watches it; refused where there is none. */
export function createBackupRoutes({ backup, idleTimeoutMs }: Config): Route[] {
  const syncs = new Syncs()
  const answerMs = Math.min(ANSWER_MS_MAX, idleTimeoutMs / 2)
  const working = (path: string, work: (backup: Backup) => Promise<object>): Route => ({
    method: 'POST',
    right: 'admin',
    path,
    answer: async () => {
      const given = checkGiven(backup)
      const done = await within(answerMs, work(given))
      const body = { done: done !== null, ...done, backup: given.status() }
      return Response.json(body, { status: done === null ? 202 : 200 })
    },
  })
  return [
    {
      method: 'GET',
      right: 'read',
      path: '/backup',
      answer: () => Response.json(checkGiven(backup).status()),
    },
    working('/backup/sync', async (given) => {
      await syncs.sync(given)
      return {}
    }),
    working('/backup/verify', async (given) => ({ verified: await given.verify() })),
  ]
}

function checkGiven(backup: Backup | null): Backup {
  if (backup !== null) return backup
  throw new ColmenaError(
    'ERR_NOT_FOUND',
    'this server was given no backup: pass it { backup: startBackup(node, …) }, or colmena serve ' +
      '--backup TARGET',
  )
}

/** null where it goes on: the client asks again, as it goes on without him too. */
async function within<T>(answerMs: number, work: Promise<T>): Promise<T | null> {
  const isOver = new AbortController()
  const late = pause(answerMs, null, { signal: isOver.signal, ref: false })
  try {
    return await Promise.race([work, late])
  } catch (error) {
    // The leader has not answered this node, and goes on.
    if (isColmenaError(error) && error.code === 'ERR_TIMEOUT') return null
    throw error
  } finally {
    late.catch(() => {})
    isOver.abort()
  }
}

/** One that runs, and one behind it for all who ask meanwhile: they want what was written since. */
class Syncs {
  #running: Promise<void> | null = null
  #next: Promise<void> | null = null

  sync(backup: Backup): Promise<void> {
    if (this.#running === null) return this.#begin(backup)
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = null
        return this.#begin(backup)
      })
    return this.#next
  }

  #begin(backup: Backup): Promise<void> {
    const running = backup.sync().finally(() => {
      this.#running = null
    })
    this.#running = running
    return running
  }
}
