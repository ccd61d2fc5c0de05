const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/**
 * Resolves at the first SIGINT or SIGTERM. The second one ends the process whatever it does:
 * process.exit() hangs behind a statement that runs on a thread, so it is SIGKILL. As PID 1 of a
 * container a process can't kill itself, and exit() is what is left.
 */
export function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    let isFirst = true
    const heard = (): void => {
      if (!isFirst) endAtOnce(130)
      isFirst = false
      resolve()
    }
    for (const signal of SIGNALS) process.on(signal, heard)
  })
}

/** Ends this process, also while a statement runs on one of its threads. */
export function endAtOnce(exitCode: number): never {
  process.kill(process.pid, 'SIGKILL')
  process.exit(exitCode)
}
