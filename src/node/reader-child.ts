import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { ReaderAnswer, ReaderRequest, ReaderSource } from '../database/database.ts'
import { locateEntry } from './threads.ts'

export interface ReaderChildHandlers {
  said(answer: ReaderAnswer): void
  /** It is gone; how, in words. */
  ended(how: string): void
}

/** A reader process, as the node that started it sees it. */
export interface ReaderChild {
  send(request: ReaderRequest): void
  /** Ends it at once, whatever it does; `ended` follows. */
  kill(): void
}

/** Starts one; tests pass one that starts no process. */
export type StartReaderChild = (source: ReaderSource, handlers: ReaderChildHandlers) => ReaderChild

/** A real process. */
export const startReaderChild: StartReaderChild = (source, handlers) => {
  const child = fork(fileURLToPath(locateEntry('reader')), [JSON.stringify(source)], {
    // Bigints, blobs and maps arrive as what they are.
    serialization: 'advanced',
    // The host's own flags (test runners, loaders, inspectors) are not meant for it.
    execArgv: [],
    // Ctrl-C is for the host, which may have reads to finish.
    detached: true,
    // It ends when its standard input does. What it prints is nobody's: we print nothing.
    stdio: ['pipe', 'ignore', 'ignore', 'ipc'],
  })
  let hasEnded = false
  const end = (how: string): void => {
    if (hasEnded) return
    hasEnded = true
    handlers.ended(how)
  }
  child.on('message', (message) => handlers.said(message as ReaderAnswer))
  child.on('error', (error) => {
    if (child.pid === undefined) end(error.message)
  })
  child.on('exit', (code, signal) => end(signal === null ? `exit code ${code}` : signal))
  child.stdin?.on('error', () => {})
  return {
    // It may just have ended: then `ended` tells, and a failed send is no news.
    send: (request) => void child.send(request, () => {}),
    kill: () => void child.kill('SIGKILL'),
  }
}
