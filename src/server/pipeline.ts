import { randomBytes } from 'node:crypto'
import { ColmenaError, type ColmenaNode, type Consistency } from '../index.ts'
import { type Bodies, parseJson } from './bodies.ts'
import { type HranaContext, HranaStreams } from './hrana/hrana.ts'
import { readCount } from './query.ts'
import { includesRight } from './rights.ts'
import type { Call, Route } from './routes.ts'
import { type Source, streamBody } from './streamed-body.ts'

type Version = HranaContext['version']

const LEVELS: readonly unknown[] = ['none', 'lease', 'weak', 'strong']
const DATABASE = 'main'

/** libsql's remote protocol, for the database `main` and below `/db/<database>` for each. */
export class Pipeline {
  readonly #node: ColmenaNode
  readonly #bodies: Bodies
  readonly #idleTimeoutMs: number
  readonly #streams: HranaStreams

  constructor(
    node: ColmenaNode,
    bodies: Bodies,
    { idleTimeoutMs }: { readonly idleTimeoutMs: number },
  ) {
    this.#node = node
    this.#bodies = bodies
    this.#idleTimeoutMs = idleTimeoutMs
    this.#streams = new HranaStreams({ nowMs: () => performance.now(), randomBytes })
  }

  get routes(): Route[] {
    return ['', '/db/:database'].flatMap((place) => [
      ...([2, 3] as const).flatMap((version) => this.#versionRoutes(place, version)),
      {
        method: 'POST',
        right: 'read',
        path: `${place}/v3/cursor`,
        answer: (call) => this.#cursor(call),
      } satisfies Route,
    ])
  }

  #versionRoutes(place: string, version: Version): Route[] {
    return [
      {
        method: 'GET',
        right: 'read',
        path: `${place}/v${version}`,
        // Clients ask whether the version is spoken here, and need no more than the status.
        answer: () => Response.json({ version }),
      },
      {
        method: 'POST',
        right: 'read',
        path: `${place}/v${version}/pipeline`,
        answer: (call) => this.#pipeline(call, version),
      },
    ]
  }

  async #pipeline(call: Call, version: Version): Promise<Response> {
    const context = this.#context(call, version)
    using body = await this.#bodies.read(call)
    return Response.json(await this.#streams.pipeline(parseJson(body.text), context))
  }

  async #cursor(call: Call): Promise<Response> {
    const context = this.#context(call, 3)
    const body = await this.#bodies.read(call)
    try {
      const lines = this.#streams.cursor(parseJson(body.text), context)
      const stream = streamBody(toSource(lines, body), call, this.#idleTimeoutMs)
      return new Response(stream, { headers: { 'content-type': 'text/plain' } })
    } catch (error) {
      body[Symbol.dispose]()
      throw error
    }
  }

  #context({ right, request, query, param, signal }: Call, version: Version): HranaContext {
    const asked = (header: string, parameter: string): string | undefined =>
      request.headers.get(`x-colmena-${header}`) ?? query(parameter)
    return {
      database: this.#node.database(param('database') || DATABASE),
      reading: {
        consistency: checkLevel(asked('consistency', 'consistency')),
        maxStalenessMs: readCount('maxStalenessMs', asked('max-staleness-ms', 'maxStalenessMs')),
        after: readCount('after', asked('after', 'after')),
      },
      foreignKeyCheck: checkSwitch('foreignKeyCheck', query('foreignKeyCheck')),
      mayWrite: includesRight(right, 'write'),
      signal,
      version,
    }
  }
}

function checkLevel(asked: string | undefined): Consistency | undefined {
  if (asked === undefined || LEVELS.includes(asked)) return asked as Consistency | undefined
  throw new ColmenaError(
    'ERR_INVALID_ARGUMENT',
    `the consistency asked for is '${asked}'; it can be none, lease, weak or strong`,
  )
}

function checkSwitch(name: string, asked: string | undefined): boolean | undefined {
  if (asked === undefined) return undefined
  if (asked === 'true' || asked === 'false') return asked === 'true'
  throw new ColmenaError('ERR_INVALID_ARGUMENT', `${name} is '${asked}'; it can be true or false`)
}

function toSource(lines: AsyncGenerator<string>, body: Disposable): Source {
  const encoder = new TextEncoder()
  return {
    next: async () => {
      const { done, value } = await lines.next()
      return done ? undefined : encoder.encode(value)
    },
    end: async () => {
      body[Symbol.dispose]()
      await lines.return(undefined)
    },
  }
}
