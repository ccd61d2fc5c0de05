import { type Command, Option } from 'commander'
import { ApiClient } from './client.ts'

export const URL_DEFAULT = 'http://127.0.0.1:8080'

export interface RemoteOptions {
  readonly url: string
  readonly token?: string
}

/** The options of each command that asks a running node. */
export function remote(command: Command): Command {
  return command
    .addOption(new Option('--url <url>', 'of a node').env('COLMENA_URL').default(URL_DEFAULT))
    .addOption(new Option('--token <token>', 'if the server wants one').env('COLMENA_TOKEN'))
    .exitOverride()
}

export function clientOf({ url, token }: RemoteOptions): ApiClient {
  return new ApiClient({ url, token })
}

export function example(line: string): string {
  return `\nExample:\n  ${line}`
}
