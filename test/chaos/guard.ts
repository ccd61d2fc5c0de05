import { type ChildProcess, spawn } from 'node:child_process'

/**
 * Kills what it was told of last, and takes the disks away, once whoever told it is gone: `-` is a
 * pid that was none, so that a line is never empty.
 */
const SCRIPT = `
while read -r line; do pids=$line; done
for pid in $pids; do [ "$pid" = - ] || kill -9 "$pid"; done
for disk in "$@"; do umount -l "$disk"; done
`

/**
 * A process beside the run that ends its nodes if the run itself is killed: one that stands still
 * notices nothing of its own. It ends by itself, with the run.
 */
export class Guard {
  readonly #child: ChildProcess

  constructor(disks: readonly string[]) {
    this.#child = spawn('sh', ['-c', SCRIPT, 'guard', ...disks], {
      // In a group of its own, which Ctrl-C does not reach.
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    // It has no more to do than this process lets it.
    this.#child.stdin?.on('error', () => {})
    this.#child.unref()
  }

  /** These processes run, and no others. */
  watch(pids: readonly number[]): void {
    this.#child.stdin?.write(`- ${pids.join(' ')}\n`)
  }

  /** Nothing is left to be watched. */
  end(): void {
    this.watch([])
    this.#child.stdin?.end()
  }
}
