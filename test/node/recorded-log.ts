/** A real node's life as its log has it, and copies of its databases as they were at any entry. */
import { randomBytes } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext } from 'node:test'
import { type Genesis, Replica } from '../../src/database/database.ts'
import { encodeEntries } from '../../src/database/storage-protocol.ts'
import {
  type ColmenaNode,
  findMoment,
  type OpenOptions,
  open,
  type RestoreRequest,
  type RestoreSource,
  type VerifyAnswer,
} from '../../src/index.ts'
import { openLog, openRealDisk, type Recovered } from '../../src/log/log.ts'
import { readIdentity } from '../../src/node/identity.ts'
import type { Entry } from '../../src/raft/raft.ts'
import { SeededRandom } from '../simulated/random.ts'
import { temporaryDirectory } from './temporary.ts'

export interface Recorded {
  /** Where the node has closed. */
  readonly dataDir: string
  readonly genesis: Genesis
  /** All of the log, from entry 2 on. */
  readonly entries: readonly Entry[]
  /** What the node itself said of its content, at some entries. */
  readonly verified: readonly VerifyAnswer[]
}

export async function recordNode(
  live: (node: ColmenaNode, verify: () => Promise<void>) => Promise<void>,
  options: Partial<OpenOptions> = {},
): Promise<Recorded> {
  const dataDir = mkdtempSync(join(tmpdir(), 'colmena-recorded-'))
  after(() => rmSync(dataDir, { recursive: true, force: true }))
  const verified: VerifyAnswer[] = []
  const node = await open({ dataDir, nodeId: 'one', ...options })
  const { address } = node
  await live(node, async () => void verified.push(await node.verify())).finally(() => node.close())
  const { clusterId, memberId, nodeId } = readIdentity(dataDir) ?? raise('no identity')
  const confState = {
    voters: [memberId],
    learners: [],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  }
  const members = [{ memberId, nodeId, address, wantedRole: 'voter' }] as const
  const genesis = { index: 1, term: 1, confState, members, clusterId }
  return { dataDir, genesis, entries: await readLog(dataDir, clusterId, memberId), verified }
}

async function readLog(
  dataDir: string,
  clusterId: string,
  memberId: number,
): Promise<readonly Entry[]> {
  const { log } = await new Promise<Recovered>((resolve, reject) => {
    const options = {
      disk: openRealDisk(dataDir),
      directory: 'log',
      clusterId: Buffer.from(clusterId, 'hex'),
      memberId,
      random: { u32: () => randomBytes(4).readUInt32LE() },
      clock: { nowMs: () => 0 },
      fatal: () => {},
    }
    openLog(options, (error, recovered) =>
      recovered === null ? reject(error) : resolve(recovered),
    )
  })
  const entries: Entry[] = []
  const bytesMax = 4 * 1024 * 1024
  for (
    let next = log.firstIndex;
    next <= log.lastIndex;
    next = entries.at(-1)?.index as number, next += 1
  ) {
    await new Promise<void>((resolve) =>
      log.load(next, log.lastIndex + 1, bytesMax, () => resolve()),
    )
    const found = log.entries(next, log.lastIndex + 1, bytesMax)
    if (typeof found === 'string') throw new Error(`entry ${next} is ${found}`)
    entries.push(...found)
  }
  await new Promise<void>((resolve) => log.close(() => resolve()))
  return entries
}

function raise(message: string): never {
  throw new Error(message)
}

/** The databases at an entry, as a backup copies them: `db/1/` in a folder of its own. */
export async function copyAt(t: TestContext, recorded: Recorded, index: number): Promise<string> {
  const source = temporaryDirectory(t)
  const directory = temporaryDirectory(t)
  const replica = Replica.create({ directory: source, generation: 1 }, recorded.genesis)
  try {
    const entries = recorded.entries.filter((entry) => entry.index <= index)
    const { halted } = replica.apply(entries)
    if (halted !== null) throw halted.error
    const snapshot = replica.pinSnapshot() ?? raise('its files are at different entries')
    mkdirSync(join(directory, 'db'))
    await snapshot.copyTo(join(directory, 'db', '1'))
    snapshot.release()
  } finally {
    replica.close()
  }
  return directory
}

/** Entries behind `index` as pieces of the log, each of some entries. */
export function piecesBehind(
  { entries }: Recorded,
  index: number,
  random: SeededRandom,
  countMax: number = 40,
): readonly Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let at = index - 1; at < entries.length; ) {
    const count = 1 + random.below(countMax)
    pieces.push(encodeEntries(entries.slice(at, at + count)))
    at += count
  }
  return pieces
}

/** Gives copies of that entry, and all of the log up to what is asked for. */
export class RecordedSource implements RestoreSource {
  readonly requests: RestoreRequest[] = []
  readonly #recorded: Recorded
  readonly #directory: string

  constructor(recorded: Recorded, directory: string) {
    this.#recorded = recorded
    this.#directory = directory
  }

  async restore(request: RestoreRequest): Promise<void> {
    this.requests.push(request)
    const { copies, to, signal } = request
    cpSync(join(this.#directory, 'db', '1'), copies, { recursive: true })
    const replay = await request.openReplay()
    const untilIndex = to !== undefined && 'index' in to ? to.index : undefined
    for (const piece of piecesBehind(this.#recorded, replay.index, new SeededRandom(1), 1_000)) {
      const moment = to !== undefined && 'timeMs' in to ? findMoment(piece, to.timeMs) : null
      const until = moment?.isPassed ? (moment.index ?? 0) : untilIndex
      const { isDone } = await replay.apply(piece, { untilIndex: until, signal })
      if (isDone) break
    }
    request.progress('brought back', { index: replay.index })
  }
}
