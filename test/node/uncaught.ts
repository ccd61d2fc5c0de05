/** The next error that nobody catches, in place of the end of the test's process. */
export function nextUncaught(): Promise<unknown> {
  return new Promise((resolve) => {
    const original = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.once('uncaughtException', (error) => {
      for (const listener of original) process.on('uncaughtException', listener)
      resolve(error)
    })
  })
}
