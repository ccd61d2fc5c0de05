const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** What a shell says of a process that was interrupted. */
const INTERRUPTED = 130

/** Resolves at the first SIGINT or SIGTERM. The second one ends the process whatever it does. */
export function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    let isFirst = true
    const heard = (): void => {
      if (!isFirst) endAtOnce(INTERRUPTED)
      isFirst = false
      resolve()
    }
    for (const signal of SIGNALS) process.on(signal, heard)
  })
}

/**
 * Ends this process, also while a statement runs on one of its threads: process.exit() would wait
 * for that. A signal to itself would have no exit code, and as PID 1 of a container no effect. So
 * another program takes its place, which ends all threads, and does nothing but exit.
 */
export function endAtOnce(exitCode: number): never {
  try {
    process.execve?.(process.execPath, [process.execPath, '-e', `process.exit(${exitCode})`], {})
  } catch {
    // Windows has no such call, and there a process can always kill itself.
  }
  process.kill(process.pid, 'SIGKILL')
  process.exit(exitCode)
}

/** Aborted by the first SIGINT or SIGTERM, for a command that has something to undo. */
export function endSignal(): AbortSignal {
  const end = new AbortController()
  void untilSignal().then(() => end.abort(new Error('interrupted')))
  return end.signal
}
