/** What was waited for did not come in time; it may come later, to nobody. */
export class Overdue extends Error {
  override readonly name: string = 'Overdue'
}

/** @throws Overdue, while what `promise` stands for goes on. */
export async function inTime<T>(timeoutMs: number, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    late.reject(new Overdue(`no answer within ${timeoutMs} ms`))
  }, timeoutMs)
  // Whoever comes second is nobody's concern.
  promise.catch(() => {})
  return Promise.race([promise, late.promise]).finally(() => clearTimeout(timer))
}
