import type { ApiClient } from './client.ts'
import { usageError } from './failure.ts'

/** Has the cluster pass over an entry that no member can apply. */
export async function runSkip(
  client: ApiClient,
  index: string,
  without: readonly string[] = [],
): Promise<void> {
  if (!/^[1-9]\d*$/.test(index)) throw usageError(`'${index}' is no index of a log entry`)
  await client.request('POST', `entries/${index}/skip`, { without })
  const lines = [
    `entry ${index} is skipped: it fails on all members with ERR_VOIDED, and they go on behind it`,
    ...without.map((name) => `remove ${name} (colmena members remove ${name}), and its files`),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
