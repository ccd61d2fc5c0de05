import { ColmenaError, type ColmenaNode } from '../index.ts'
import type { Server } from '../server/server.ts'
import { sentenceOf } from './failure.ts'
import { readServeConfig, type ServeConfig, withFlags } from './serve-settings.ts'

/**
 * At SIGHUP the files of secrets and certificates are read again, and what they hold is used in
 * place of what was there. One that can't be used changes nothing, and is told on standard error.
 */
export class Reloads {
  readonly #flags: Readonly<Record<string, unknown>>
  #targets: { readonly node: ColmenaNode; readonly server: Server } | null = null
  #isAsked = false
  #isBusy = false

  /** A signal amid the start is kept until {@link begin}. */
  constructor(flags: Readonly<Record<string, unknown>>) {
    this.#flags = flags
    process.on('SIGHUP', () => {
      this.#isAsked = true
      void this.#run()
    })
  }

  begin(node: ColmenaNode, server: Server): void {
    this.#targets = { node, server }
    void this.#run()
  }

  /** One at a time, and once more for all that was asked meanwhile. */
  async #run(): Promise<void> {
    if (this.#targets === null || this.#isBusy) return
    this.#isBusy = true
    while (this.#isAsked) {
      this.#isAsked = false
      await this.#reload(this.#targets.node, this.#targets.server)
    }
    this.#isBusy = false
  }

  async #reload(node: ColmenaNode, server: Server): Promise<void> {
    let config: ServeConfig
    try {
      config = readServeConfig(this.#flags, process.env)
    } catch (error) {
      say(process.stderr, `nothing was reloaded: ${sentenceOf(error)}`)
      return
    }
    const { secret, tls } = config.open
    const https = config.server.tls
    if (tls !== undefined) await attempt("this node's certificate", () => node.rotate({ tls }))
    else if (secret !== undefined) await attempt('the secret', () => node.rotate({ secret }))
    if (https !== undefined) {
      await attempt('the certificate of HTTPS', async () => server.rotate(https))
    }
    if ((tls ?? secret ?? https) === undefined) say(process.stdout, 'there is nothing to reload')
  }
}

async function attempt(what: string, reload: () => Promise<void>): Promise<void> {
  try {
    await reload()
    say(process.stdout, `reloaded ${what}`)
  } catch (error) {
    const sentence = sentenceOf(error)
    const told = error instanceof ColmenaError ? withFlags(sentence) : sentence
    say(process.stderr, `${what} stays as it was: ${told}`)
  }
}

function say(stream: NodeJS.WriteStream, line: string): void {
  stream.write(`${line}\n`)
}
