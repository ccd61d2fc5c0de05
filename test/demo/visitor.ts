import type {
  DemoError,
  DemoEvents,
  DemoState,
  LogRow,
  NodeCard,
  WriteRow,
} from '../../src/demo/protocol.ts'
import { until } from '../processes/wait.ts'

/** A page of the demo without a browser: it hears what the page hears, and posts what it posts. */
export class Visitor {
  readonly url: string
  readonly #rows = new Map<number, LogRow>()
  readonly #abort = new AbortController()
  #state: DemoState | null = null
  hellos = 0
  points = 0

  constructor(url: string) {
    this.url = url
  }

  static async open(url: string): Promise<Visitor> {
    const visitor = new Visitor(url)
    visitor.#listen()
    await until('the page hears the state', () => visitor.#state)
    return visitor
  }

  get state(): DemoState {
    if (this.#state === null) throw new Error('nothing was heard yet')
    return this.#state
  }

  /** In the order in which they came. */
  get rows(): readonly LogRow[] {
    return [...this.#rows.values()]
  }

  get writes(): readonly WriteRow[] {
    return this.rows.filter((row) => row.kind === 'write')
  }

  get events(): readonly string[] {
    return this.rows.filter((row) => row.kind === 'event').map(({ text }) => text)
  }

  card(id: string): NodeCard {
    const card = this.state.nodes.find((node) => node.id === id)
    if (card === undefined) throw new Error(`there is no card of ${id}`)
    return card
  }

  get leader(): NodeCard | undefined {
    return this.state.nodes.find(({ role, isCutOff }) => role === 'leader' && !isCutOff)
  }

  post(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
    const options = body === undefined ? {} : { body: JSON.stringify(body) }
    return fetch(new URL(path, this.url), { method: 'POST', headers, ...options })
  }

  /** Posts what must be accepted. */
  async do(path: string, body?: unknown): Promise<void> {
    const response = await this.post(path, body)
    if (response.status !== 204) throw new Error(`${path}: ${await response.text()}`)
  }

  /** Posts what must be refused. */
  async refused(path: string, body?: unknown): Promise<DemoError['error'] & { status: number }> {
    const response = await this.post(path, body)
    const { error } = (await response.json()) as DemoError
    return { ...error, status: response.status }
  }

  untilState(what: string, condition: (state: DemoState) => boolean): Promise<unknown> {
    return until(what, () => condition(this.state))
  }

  close(): void {
    this.#abort.abort()
  }

  async #listen(): Promise<void> {
    const { signal } = this.#abort
    try {
      const { body } = await fetch(new URL('api/events', this.url), { signal })
      const texts = (body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())
      let rest = ''
      for await (const text of texts) {
        const blocks = (rest + text).split('\n\n')
        rest = blocks.pop() ?? ''
        for (const block of blocks) this.#hear(block)
      }
    } catch (error) {
      // The end of the test, or of the demo.
      if (!signal.aborted && !(error instanceof TypeError)) throw error
    }
  }

  #hear(block: string): void {
    const match = /^event: (\w+)\ndata: (.*)$/.exec(block)
    if (match === null) return
    const [name, data] = [match[1] as keyof DemoEvents, JSON.parse(match[2] as string)]
    if (name === 'state') this.#state = data
    if (name === 'point') this.points += 1
    if (name === 'reset') this.#rows.clear()
    if (name === 'rows') for (const row of data) this.#rows.set(row.key, row)
    if (name !== 'hello') return
    const { state, rows } = data as DemoEvents['hello']
    this.hellos += 1
    this.#state = state
    for (const row of rows.toReversed()) this.#rows.set(row.key, row)
  }
}
