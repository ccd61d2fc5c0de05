import { ColmenaError } from '../index.ts'
import type { Call } from './routes.ts'

/** What a body is made from, piece by piece. */
export interface Source {
  /** undefined at the end. */
  next(): Promise<Uint8Array | undefined>
  /** Lets go of everything; called once, whatever ended it. */
  end(): Promise<void>
}

/**
 * A body of which each piece is made when the client has taken those before it. One that takes
 * nothing for `idleTimeoutMs` gets no more, since what it keeps here others may be waiting for; any
 * piece that it takes begins its time anew.
 */
export function streamBody(
  source: Source,
  { breakOff }: Pick<Call, 'breakOff'>,
  idleTimeoutMs: number,
): ReadableStream<Uint8Array> {
  let ending: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  const end = (): Promise<void> => {
    clearTimeout(timer)
    ending ??= source.end()
    return ending
  }
  const fail = async (controller: ReadableStreamDefaultController, error: unknown) => {
    // The head promised more: a broken connection is how the client gets to know.
    await end().finally(() => breakOff(controller, error))
  }
  const waitForClient = (controller: ReadableStreamDefaultController): void => {
    timer = setTimeout(() => void fail(controller, idleError(idleTimeoutMs)), idleTimeoutMs)
  }
  return new ReadableStream<Uint8Array>(
    {
      start: waitForClient,
      pull: async (controller) => {
        clearTimeout(timer)
        try {
          const piece = await source.next()
          if (ending !== undefined) return
          if (piece !== undefined) {
            controller.enqueue(piece)
            waitForClient(controller)
            return
          }
          await end()
          controller.close()
        } catch (error) {
          await fail(controller, error)
        }
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  )
}

function idleError(idleTimeoutMs: number): ColmenaError {
  const message = `the client took nothing of its answer for ${idleTimeoutMs} ms (idleTimeoutMs)`
  return new ColmenaError('ERR_TIMEOUT', message, { retryable: true })
}
