import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

/** What changes a file or a folder. */
const SYNC = ['cpSync', 'mkdirSync', 'renameSync', 'rmSync', 'writeSync'] as const
/** The same, by callback; the log calls these. */
const ASYNC = ['open', 'write', 'rename', 'unlink', 'fdatasync', 'fsync'] as const

const real = { ...fs }

/** This process ended at that step, as far as files are concerned. */
export class Crashed extends Error {
  override readonly name: string = 'Crashed'
}

/**
 * Runs `work` until its step number `crashAt` is due, counting from 0: that one and all that come
 * after it fail, so that nothing can be tidied up any more. Answers whether it came so far.
 */
export async function crashAt(step: number, work: () => Promise<unknown>): Promise<boolean> {
  let steps = 0
  let isOver = false
  for (const name of SYNC) {
    patch(name, (...args) => {
      isOver ||= steps === step
      steps += 1
      if (isOver) throw new Crashed(name)
      return (real[name] as (...args: readonly unknown[]) => unknown)(...args)
    })
  }
  for (const name of ASYNC) {
    patch(name, (...args) => {
      const done = args.at(-1) as unknown as (error: Error) => void
      if (isOver) return setImmediate(() => done(new Crashed(name)))
      return (real[name] as (...args: readonly unknown[]) => unknown)(...args)
    })
  }
  try {
    await work()
  } catch (error) {
    if (!isOver) throw error
  } finally {
    for (const name of [...SYNC, ...ASYNC]) patch(name, real[name] as never)
  }
  return isOver
}

/** As if the disk had no room for copies, while `work` runs. */
export async function withoutCopies(work: () => Promise<void>): Promise<void> {
  patch('cpSync', () => {
    throw Object.assign(new Error('ENOSPC: no space left on device'), {
      code: 'ENOSPC',
      syscall: 'copyfile',
    })
  })
  try {
    await work()
  } finally {
    patch('cpSync', real.cpSync as never)
  }
}

/** As if the disk had that much room, while `work` runs. */
export async function withFreeBytes(freeBytes: number, work: () => Promise<void>): Promise<void> {
  patch('statfsSync', () => ({ bavail: freeBytes, bsize: 1 }))
  try {
    await work()
  } finally {
    patch('statfsSync', real.statfsSync as never)
  }
}

/** As if the disk did not take what one file holds, while `work` runs. */
export async function withFailedSync(ofFile: RegExp, work: () => Promise<void>): Promise<void> {
  const { open } = fs.promises
  const failing: typeof open = async (path, ...rest) => {
    const file = await open(path, ...rest)
    const fail = async (): Promise<never> => {
      throw Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO', syscall: 'fsync' })
    }
    return ofFile.test(String(path)) ? Object.assign(file, { sync: fail, datasync: fail }) : file
  }
  fs.promises.open = failing
  syncBuiltinESMExports()
  try {
    await work()
  } finally {
    fs.promises.open = open
    syncBuiltinESMExports()
  }
}

function patch(name: keyof typeof fs, call: (...args: readonly never[]) => unknown): void {
  Object.assign(fs, { [name]: call })
  syncBuiltinESMExports()
}
