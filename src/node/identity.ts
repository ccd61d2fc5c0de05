import { createHash, randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { syncDirectoryNow } from '../base/directory-sync.ts'
import { ColmenaError } from '../base/errors.ts'
import type { UncleanStop } from '../engine/engine.ts'
import type { OpenConfig } from './config.ts'
import { checkNodeName } from './tls-options.ts'

/** The newest format of identity.json that this code writes and reads. */
export const IDENTITY_FORMAT = 3
/** What is written where an older version may open it too: it can't know what is left out then. */
const PLAIN_FORMAT = 1
const RELAXED_FORMAT = 2

/** Who this data directory is, kept in its `identity.json`. */
export interface Identity {
  readonly format: number
  /** 32 hexadecimal digits; '' for a joiner that has not found its cluster yet. */
  readonly clusterId: string
  readonly nodeId: string
  readonly memberId: number
  /** How often it was opened. */
  readonly incarnation: number
  /** `new` until log and databases are made. */
  readonly state: 'new' | 'established'
  readonly genesis: 'bootstrap' | 'join'
  /** The longest that any open of it may have promised to keep its vote; nothing if left out. */
  readonly votePromiseMs?: number | undefined
  /**
   * The incarnation of the first relaxed open that was not closed since: what it acknowledged may
   * be lost. Durable before anything is acknowledged, and gone only once all of that is.
   */
  readonly relaxedSince?: number | undefined
  /** Where the others were when this node was taken in again; until it is a member. */
  readonly rejoinAddresses?: readonly string[] | undefined
  /**
   * The folder that what was here before a recovery goes to, until it is there and what the
   * recovery made stands in its place.
   */
  readonly recovery?: string | undefined
}

export const IDENTITY_FILE = 'identity.json'
export const STATE_FOLDERS = ['log', 'db'] as const

/**
 * Reads who this data directory is, or begins a new identity in an empty one, and writes it down
 * with the next incarnation. The caller holds the directory's lock.
 *
 * @throws ColmenaError ERR_DATA_DIR for a directory that can't be right, ERR_UNSUPPORTED_FORMAT
 * for one of a newer version, ERR_INVALID_OPTION for options that contradict it.
 */
export function openIdentity(config: OpenConfig): Identity {
  const { kept, found } = readDataDir(config.dataDir)
  const opened = kept?.state === 'established' ? reopen(kept, config, found) : begin(config, kept)
  const votePromiseMs = Math.max(kept?.votePromiseMs ?? 0, promiseMs(config))
  const promised = votePromiseMs === 0 ? opened : { ...opened, votePromiseMs }
  const { relaxedSince: _, ...rest } = promised
  const since = relaxedSince(opened, config)
  const identity = since === undefined ? rest : { ...rest, relaxedSince: since }
  const isMadeUp = config.nodeId === undefined && kept === null
  checkNodeName(config.security, identity.nodeId, isMadeUp)
  writeIdentity(config.dataDir, identity)
  return identity
}

/** A new identity has acknowledged nothing yet; what an operator accepts counts as nothing. */
function relaxedSince(
  opened: Identity,
  { durability, acceptLoss }: OpenConfig,
): number | undefined {
  const unclean = opened.state === 'established' ? uncleanStopOf(opened) : null
  if (unclean !== null && unclean.token !== acceptLoss) return opened.relaxedSince
  return durability === 'relaxed' ? opened.incarnation : undefined
}

/**
 * A relaxed open before this one that was not closed. The member that a node becomes follows from
 * what it was: it asks for the same one each time, however often it is stopped on its way.
 */
export function uncleanStopOf({
  clusterId,
  memberId,
  incarnation,
  relaxedSince: since,
}: Identity): UncleanStop | null {
  if (since === undefined || since === incarnation) return null
  const hash = createHash('sha256').update(`${clusterId} ${memberId} ${since}`).digest()
  const token = `${memberId.toString(16).padStart(12, '0')}-${since}`
  return { token, newMemberId: Math.max(1, hash.readUIntBE(0, 6)) }
}

/**
 * The cluster has taken a new member in for this one, whose log and databases are of no use to
 * anybody any more. Durable before anything is deleted: whatever stops this, the next open goes on.
 */
export function replaceIdentity(
  dataDir: string,
  old: Identity,
  { durability }: OpenConfig,
  memberId: number,
  rejoinAddresses: readonly string[],
): Identity {
  // The new member has introduced itself already, as whoever asked for it.
  const incarnation = old.incarnation + 1
  const identity: Identity = {
    ...old,
    memberId,
    incarnation,
    state: 'new',
    genesis: 'join',
    relaxedSince: durability === 'relaxed' ? incarnation : undefined,
    rejoinAddresses,
  }
  writeIdentity(dataDir, identity)
  deleteState(dataDir)
  return identity
}

export function deleteState(dataDir: string): void {
  for (const folder of STATE_FOLDERS) {
    rmSync(join(dataDir, folder), { recursive: true, force: true })
  }
}

/** For how long this open keeps its vote for a leader that asks. */
export function promiseMs({ strongReads, electionTimeoutMs }: OpenConfig): number {
  return strongReads === 'lease' ? electionTimeoutMs : 0
}

function reopen(kept: Identity, config: OpenConfig, found: readonly string[]): Identity {
  for (const folder of STATE_FOLDERS) {
    if (found.includes(folder)) continue
    throw new ColmenaError(
      'ERR_DATA_DIR',
      `${config.dataDir} belongs to node '${kept.nodeId}' but its ${folder} folder is missing: ` +
        'this node would forget what it has promised to the cluster. Bring the folder back, or ' +
        'remove the whole directory and join again as a new member',
    )
  }
  if (config.nodeId !== undefined && config.nodeId !== kept.nodeId) {
    throw new ColmenaError(
      'ERR_INVALID_OPTION',
      `nodeId is '${config.nodeId}', but ${config.dataDir} belongs to node '${kept.nodeId}': ` +
        'open it under that name, or use another dataDir',
    )
  }
  return { ...kept, incarnation: kept.incarnation + 1 }
}

/**
 * A directory that was never established held nothing that anyone was promised, so it begins
 * again, under whatever name, and as a new member: what the old one may have acknowledged while it
 * was made is gone.
 */
function begin(config: OpenConfig, kept: Identity | null): Identity {
  if (kept?.rejoinAddresses !== undefined) return beginAgain(kept, config)
  if (config.genesis === undefined) {
    throw new ColmenaError(
      'ERR_INVALID_OPTION',
      `${config.dataDir} holds no cluster yet: pass bootstrap: true to begin one, or ` +
        "join: ['host:port'] to enter one that exists",
    )
  }
  deleteState(config.dataDir)
  const memberId = randomMemberId()
  return newIdentity({
    clusterId: config.genesis === 'bootstrap' ? randomBytes(16).toString('hex') : '',
    nodeId: config.nodeId ?? kept?.nodeId ?? makeNodeId(memberId),
    memberId,
    incarnation: (kept?.incarnation ?? 0) + 1,
    genesis: config.genesis,
  })
}

export function newIdentity(
  begun: Pick<Identity, 'clusterId' | 'nodeId' | 'memberId' | 'incarnation' | 'genesis'>,
): Identity {
  return { format: PLAIN_FORMAT, ...begun, state: 'new' }
}

/** The name of a node that nobody gave one. */
export function makeNodeId(memberId: number): string {
  return `node-${memberId.toString(16).padStart(12, '0')}`
}

/** It was on its way into its own cluster, whatever `bootstrap` says. */
function beginAgain(kept: Identity, config: OpenConfig): Identity {
  deleteState(config.dataDir)
  return { ...kept, memberId: randomMemberId(), incarnation: kept.incarnation + 1 }
}

/** 48 random bits, never 0, which stands for no member. */
export function randomMemberId(): number {
  for (;;) {
    const memberId = randomBytes(6).readUIntBE(0, 6)
    if (memberId !== 0) return memberId
  }
}

/** Puts the new file in the old one's place: after a crash either is there, whole. */
export function writeIdentity(dataDir: string, identity: Identity): void {
  const written = { ...identity, format: formatOf(identity) }
  try {
    replaceFile(dataDir, `${JSON.stringify(written, null, 2)}\n`)
  } catch (cause) {
    const path = join(dataDir, IDENTITY_FILE)
    throw new ColmenaError('ERR_DATA_DIR', `${path} can't be written: ${cause}`, { cause })
  }
}

function formatOf({ relaxedSince: since, rejoinAddresses, recovery }: Identity): number {
  if (recovery !== undefined) return IDENTITY_FORMAT
  return since === undefined && rejoinAddresses === undefined ? PLAIN_FORMAT : RELAXED_FORMAT
}

function replaceFile(dataDir: string, text: string): void {
  const aside = join(dataDir, `${IDENTITY_FILE}.tmp`)
  const file = openSync(aside, 'w', 0o600)
  try {
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(aside, join(dataDir, IDENTITY_FILE))
  syncDirectoryNow(dataDir)
}

/** Whose it is, and which folders of a node it has. @throws ColmenaError ERR_DATA_DIR */
function readDataDir(dataDir: string): {
  readonly kept: Identity | null
  readonly found: readonly string[]
} {
  const kept = readIdentity(dataDir)
  const found = STATE_FOLDERS.filter((folder) => existsSync(join(dataDir, folder)))
  if (kept !== null || found.length === 0) return { kept, found }
  throw new ColmenaError(
    'ERR_DATA_DIR',
    `${dataDir} has a ${found.join(' and a ')} folder but no ${IDENTITY_FILE}: it is no data ` +
      'directory of colmena, or a part of one. Use another dataDir, or bring the file back',
  )
}

/**
 * Null where the directory holds a node, or one that is on its way into its cluster; else what is
 * left of tries to begin one there, if any.
 *
 * @throws ColmenaError ERR_DATA_DIR, ERR_UNSUPPORTED_FORMAT
 */
export function readUnbegun(dataDir: string): { readonly kept: Identity | null } | null {
  const { kept } = readDataDir(dataDir)
  const isBegun = kept !== null && (kept.state === 'established' || kept.rejoinAddresses)
  return isBegun ? null : { kept }
}

/** The identity of a data directory, or null if it has none. */
export function readIdentity(dataDir: string): Identity | null {
  const path = join(dataDir, IDENTITY_FILE)
  if (!existsSync(path)) return null
  let identity: unknown
  try {
    identity = JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    const what = cause instanceof SyntaxError ? "can't be read as JSON" : `can't be read: ${cause}`
    throw new ColmenaError('ERR_DATA_DIR', `${path} ${what}`, { cause })
  }
  const format = (identity as Partial<Identity> | null)?.format
  if (typeof format === 'number' && format > IDENTITY_FORMAT) {
    throw new ColmenaError(
      'ERR_UNSUPPORTED_FORMAT',
      `${path} is of format ${format}; this version of colmena reads format ${IDENTITY_FORMAT}. ` +
        'Update colmena on this node',
    )
  }
  if (!isIdentity(identity)) {
    throw new ColmenaError('ERR_DATA_DIR', `${path} is not what colmena writes there`)
  }
  return identity
}

function isIdentity(value: unknown): value is Identity {
  if (typeof value !== 'object' || value === null) return false
  const identity = value as Partial<Identity>
  const { format, clusterId, nodeId, memberId, incarnation, state, genesis } = identity
  const { votePromiseMs, relaxedSince: since, rejoinAddresses, recovery } = identity
  return (
    isCount(format) &&
    format >= PLAIN_FORMAT &&
    typeof clusterId === 'string' &&
    /^([0-9a-f]{32})?$/.test(clusterId) &&
    typeof nodeId === 'string' &&
    isCount(memberId) &&
    memberId > 0 &&
    isCount(incarnation) &&
    (state === 'new' || state === 'established') &&
    (genesis === 'bootstrap' || genesis === 'join') &&
    (votePromiseMs === undefined || isCount(votePromiseMs)) &&
    (since === undefined || isCount(since)) &&
    (rejoinAddresses === undefined || isTexts(rejoinAddresses)) &&
    (recovery === undefined || (typeof recovery === 'string' && /^[\w-]+$/.test(recovery)))
  )
}

/** Of which there may be one more. */
function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && value !== Number.MAX_SAFE_INTEGER
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}
