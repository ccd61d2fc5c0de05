/** What `work` resolves to, or undefined if it has not within `timeoutMs` or `signal` ends it. */
export async function settlesWithin<T>(
  work: Promise<T>,
  timeoutMs: number,
  signal?: AbortSignal | undefined,
): Promise<T | undefined> {
  if (signal?.aborted) return undefined
  const given = Promise.withResolvers<undefined>()
  const giveUp = (): void => given.resolve(undefined)
  const timer = setTimeout(giveUp, timeoutMs)
  signal?.addEventListener('abort', giveUp, { once: true })
  try {
    return await Promise.race([work, given.promise])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', giveUp)
  }
}
