/**
 * Joins consensus, log, network and databases into one node, and is the only room that does what
 * the consensus core decides. Promises: a write is answered for exactly once or not at all, nothing
 * leaves before what it stands on is durable, and every wait ends. Runs on a thread of its own,
 * against ports; what users see is `node/`'s.
 */
import { assert } from '../base/assert.ts'
import { createLog, type LogOptions, openLog, type Recovered } from '../log/log.ts'
import { EMPTY_CONF_STATE, type MemberId, NO_MEMBER } from '../raft/raft.ts'
import type { PeerHello, Reply, Transport, TransportHandlers } from '../transport/transport.ts'
import { answerCall } from './calls.ts'
import { closeInOrder } from './closing.ts'
import { Core } from './core.ts'
import { answerStarting, Entering, type EnteringParts } from './entering.ts'
import { errorMessage } from './error-message.ts'
import { createNoNetwork } from './no-network.ts'
import { newPlace, OwnPlace } from './own-place.ts'
import type { Applier, EnginePorts, ReplicaState } from './ports.ts'
import type { EngineConfig, UserToEngine } from './protocol.ts'
import { removedError } from './removed-error.ts'
import { answerRequest } from './requests.ts'
import { identityOf, logOptionsOf, randomClusterId, recordOf, withBoundPort } from './settings.ts'
import type { StatusParts } from './status.ts'
import { lostLogError } from './stored-log.ts'
import { comeBack } from './unclean-stop.ts'

export type { EngineMetrics } from './metrics.ts'
export type { Applier, ApplierHandlers, EnginePorts } from './ports.ts'
export * from './protocol.ts'

const FIRST_GENERATION = 1
const NO_HARD_STATE = { term: 0, vote: 0, commit: 0 }

/** One engine's life: find the cluster if need be, open log and databases, run, close. */
export class Engine {
  readonly #ports: EnginePorts
  #config: EngineConfig
  readonly #bootNonce: Uint8Array
  #transport: Transport = createNoNetwork()
  #recovered: Recovered | null = null
  #applier: Applier | null = null
  #core: Core | null = null
  readonly #entering = new Entering()
  readonly #place = new OwnPlace()
  #leaderAddress = ''
  /** Members that linked before there was a core: a joiner meets its leader by that alone. */
  readonly #metEarly = new Map<MemberId, PeerHello>()
  /** After an unclean stop; until it is known as what it goes on, this node is nobody. */
  #isInDoubt: boolean
  #isReady = false
  #isClosing = false

  constructor(config: EngineConfig, ports: EnginePorts) {
    this.#config = config
    this.#ports = ports
    this.#isInDoubt = config.uncleanStop !== null && config.isEstablished
    this.#bootNonce = new Uint8Array(8)
    const view = new DataView(this.#bootNonce.buffer)
    view.setUint32(0, ports.random.u32())
    view.setUint32(4, ports.random.u32())
  }

  /** What runs, for all that ask about it; null until log and databases are open. */
  get running(): StatusParts | null {
    const [core, log, applier] = [this.#core, this.#recovered?.log, this.#applier]
    if (core === null || log === undefined || applier === null) return null
    return { core, log, applier, ...this.#parts }
  }

  get #parts(): EnteringParts {
    return { config: this.#config, ports: this.#ports, transport: this.#transport }
  }

  start(): void {
    if (this.#config.bind === null) {
      this.#connected()
      return
    }
    const { bind, security, snapshotBytesPerSecond } = this.#config
    const options = {
      bind,
      security,
      identity: () =>
        identityOf(this.#config, this.#bootNonce, this.#isInDoubt || this.#config.clusterId === ''),
      clock: this.#ports.clock,
      random: this.#ports.random,
      snapshotBytesPerSecond,
    }
    this.#ports.openNetwork(options, this.#networkHandlers(), (error, transport) => {
      if (transport === null) {
        this.#fail(error ?? new Error('the network did not open'))
        return
      }
      this.#transport = transport
      this.#config = withBoundPort(this.#config, transport.port)
      if (this.#isClosing) transport.close(() => {})
      else this.#connected()
    })
  }

  receive(message: UserToEngine): void {
    switch (message.kind) {
      case 'write':
        this.#core?.commands.add(message.database, message.sequence, message.bytes)
        this.#core?.schedule()
        break
      case 'read':
        this.#core?.reads.add(message.id, message.level)
        this.#core?.schedule()
        break
      case 'request':
        this.#request(message.id, message.request)
        break
      case 'clusterKept':
        this.#startStorage()
        break
      case 'addresses':
        this.#entering.setFound(message.addresses)
        break
      case 'close':
        this.close()
        break
      case 'handled':
        this.#core?.handling.handled(message.id, message.bytes, message.error)
        break
    }
  }

  /** Hands leadership over if it can, at most one election timeout, then closes everything. */
  close(): void {
    if (this.#isClosing) return
    this.#isClosing = true
    this.#entering.stop()
    this.#place.stop()
    closeInOrder({
      ports: this.#ports,
      electionTimeoutMs: this.#config.electionTimeoutMs,
      core: this.#core,
      transport: this.#transport,
      log: this.#recovered?.log ?? null,
      applier: this.#applier,
      done: (isDurable) => this.#ports.toUser({ kind: 'closed', isDurable }),
    })
  }

  /** The network is up, or there is none: go on with what this start needs. */
  #connected(): void {
    const { genesis, clusterId } = this.#config
    if (this.#config.isEstablished) {
      openLog(this.#logOptions(), (error, recovered) => {
        if (recovered !== null) this.#logReady(recovered)
        else this.#fail(error ?? new Error('the log did not open'))
      })
    } else if (genesis === 'join' && clusterId === '') {
      this.#findCluster()
    } else {
      this.#startStorage()
    }
  }

  /** Finds the cluster, or makes its id up where this node is to begin it. */
  #findCluster(): void {
    this.#entering.search(this.#parts, (error, found) => {
      if (error !== null) {
        this.#fail(error)
        return
      }
      const genesis = found === null ? 'bootstrap' : 'join'
      const clusterId =
        found === null
          ? randomClusterId(this.#ports.random)
          : Buffer.from(found.clusterId).toString('hex')
      this.#leaderAddress = found?.leaderAddress ?? ''
      this.#config = { ...this.#config, clusterId, genesis }
      this.#ports.toUser({ kind: 'clusterFound', clusterId, genesis })
    })
  }

  /** A first start: the databases are made before the log, whose creation makes it final. */
  #startStorage(): void {
    const bootstraps = this.#config.genesis === 'bootstrap'
    const genesis = {
      index: bootstraps ? 1 : 0,
      term: bootstraps ? 1 : 0,
      confState: bootstraps
        ? { ...EMPTY_CONF_STATE, voters: [this.#config.memberId] }
        : EMPTY_CONF_STATE,
      members: bootstraps ? [{ ...recordOf(this.#config), wantedRole: 'voter' as const }] : [],
      clusterId: this.#config.clusterId,
    }
    this.#openApplier(FIRST_GENERATION, genesis, (state) => {
      const mark = {
        index: genesis.index,
        term: genesis.term,
        generation: FIRST_GENERATION,
        confState: state.confState,
      }
      const hardState = { ...NO_HARD_STATE, term: genesis.term, commit: genesis.index }
      createLog(this.#logOptions(), mark, hardState, (error, recovered) => {
        if (recovered === null) {
          this.#fail(error ?? new Error('the log could not be made'))
          return
        }
        this.#recovered = recovered
        this.#ports.toUser({ kind: 'established' })
        this.#run(state)
      })
    })
  }

  #logReady(recovered: Recovered): void {
    this.#recovered = recovered
    const generation = recovered.snapshot?.generation ?? FIRST_GENERATION
    this.#openApplier(generation, null, (state) => {
      const { log } = recovered
      if (this.#isInDoubt && state.applied + 1 >= log.firstIndex) {
        this.#comeBack(recovered, state)
        return
      }
      if (state.highestApplied > log.lastIndex || state.applied + 1 < log.firstIndex) {
        this.#fail(lostLogError(state, log))
        return
      }
      this.#applier?.deleteOtherGenerations()
      this.#run(state)
    })
  }

  /** It stopped uncleanly: as what it goes on is to be found out first. */
  #comeBack(recovered: Recovered, state: ReplicaState): void {
    comeBack({
      config: this.#config,
      recovered,
      state,
      toUser: (message) => this.#ports.toUser(message),
      asAlone: (hardState) => {
        this.#isInDoubt = false
        this.#recovered = { ...recovered, hardState }
        this.#applier?.deleteOtherGenerations()
        if (!this.#isClosing) this.#run(state)
      },
      asAnother: (change) => {
        this.#config = { ...this.#config, ...change }
        this.#isInDoubt = false
        return this.#entering.joining(this.#parts)
      },
      replaced: () => this.close(),
      fail: (error) => this.#fail(error),
    })
  }

  #openApplier(
    generation: number,
    genesis: Parameters<EnginePorts['openApplier']>[1],
    opened: (state: ReplicaState) => void,
  ): void {
    this.#applier = this.#ports.openApplier(generation, genesis, {
      opened: (state) => {
        if (!this.#isClosing) opened(state)
      },
      applied: (report) => {
        this.#core?.applied(report)
        this.#membersChanged()
      },
      halted: (...halt) => this.#core?.halted(...halt),
      hashed: (hashed) => this.#core?.agreement.hashed(hashed),
    })
  }

  #run(replica: ReplicaState): void {
    const recovered = this.#recovered
    const applier = this.#applier
    assert(recovered !== null && applier !== null, 'log and databases are open before the loop')
    this.#core = new Core({
      config: this.#config,
      ports: this.#ports,
      log: recovered.log,
      hardState: recovered.hardState,
      generation: recovered.snapshot?.generation ?? FIRST_GENERATION,
      replica,
      applier,
      transport: this.#transport,
      addresses: () => this.#entering.addresses(this.#config),
      membersChanged: () => this.#membersChanged(),
      removed: () => this.#removed(),
    })
    this.#core.start()
    for (const [peer, hello] of this.#metEarly) {
      if (this.#core.greet(hello) === null) this.#peerConnected(peer, hello)
      else this.#transport.endLinksOf(peer)
    }
    this.#metEarly.clear()
    if (replica.confState.voters.length > 0) this.#membersChanged()
    else this.#joinCluster()
  }

  #removed(): void {
    if (this.#isReady) this.fatal(removedError(this.#config.nodeId))
    else if (this.#core === null || !this.#config.rejoins) {
      this.#fail(removedError(this.#config.nodeId))
    } else {
      this.#ports.toUser(newPlace(this.#core, this.#ports.random))
      this.close()
    }
  }

  #joinCluster(): void {
    const isReached = (): boolean => this.#core?.raft.leader !== NO_MEMBER
    this.#entering.join(this.#parts, this.#leaderAddress, isReached, (error) => this.#fail(error))
  }

  get #isMember(): boolean {
    return this.#core?.membership.record(this.#config.memberId) !== undefined
  }

  /** Ready once the configuration names this node, and over once it does no more. */
  #membersChanged(): void {
    if (this.#core === null || this.#isReady === this.#isMember || this.#isClosing) return
    if (this.#isReady) this.#removed()
    else this.#place.await(this.#core.raft, this.#ports.clock, this.#config, () => this.#ready())
  }

  #ready(): void {
    this.#isReady = this.#isMember
    this.#entering.stop()
    if (!this.#isReady) this.#removed()
    else this.#ports.toUser({ kind: 'ready', port: this.#transport.port })
  }

  #request(id: number, request: Extract<UserToEngine, { kind: 'request' }>['request']): void {
    const parts = this.running
    if (parts === null) return
    answerRequest(parts, request, (error, value) => {
      this.#ports.toUser({
        kind: 'reply',
        id,
        value,
        error: error === null ? null : errorMessage(error),
      })
    })
  }

  #networkHandlers(): TransportHandlers {
    return {
      peerHello: (hello) => this.#core?.greet(hello) ?? null,
      frame: (from, _lane, kind, body) => this.#core?.frame(from, kind, body),
      connected: (peer, hello) => this.#peerConnected(peer, hello),
      disconnected: (peer, cause) => {
        this.#core?.linkChanged(peer)
        if (cause === 'processGone') this.#core?.processGone(peer)
      },
      call: (from, kind, body, reply) => this.#call(from.memberId, kind, body, reply),
      snapshotOffered: (_from, manifest, accept, refuse) => {
        if (this.#core === null) refuse('not running yet')
        else this.#core.snapshots.offered(manifest, accept, refuse)
      },
      snapshotReceived: (_from, manifest, error) => this.#core?.snapshots.received(manifest, error),
      warning: (code, message) => this.#ports.toUser({ kind: 'warning', code, message }),
    }
  }

  #peerConnected(peer: MemberId, hello: PeerHello): void {
    const core = this.#core
    if (core === null) return void this.#metEarly.set(peer, hello)
    core.membership.heardFrom(peer, hello.address)
    // A member that the configuration does not name yet is how a joiner meets its leader.
    if (core.membership.record(peer)?.address !== hello.address && hello.address !== '') {
      this.#transport.setPeer(peer, hello.address)
    }
    core.linkChanged(peer)
  }

  #call(from: MemberId, kind: number, body: Uint8Array, reply: Reply): void {
    const parts = this.running
    if (parts !== null) answerCall(parts, from, kind, body, reply)
    else if (this.#config.isEstablished) answerStarting(this.#config, kind, reply)
    else this.#entering.answer(kind, body, reply)
  }

  #logOptions(): LogOptions {
    return logOptionsOf(this.#config, this.#ports, {
      fatal: (error) => this.fatal(error),
      spaceChanged: (isFull) => this.#core?.spaceChanged(isFull),
    })
  }

  /** This node can't go on; the others can. Nothing more leaves it. */
  fatal(error: Error): void {
    this.#core?.close()
    this.#transport.close(() => {})
    this.#ports.toUser({ kind: 'fatal', error: errorMessage(error) })
  }

  #fail(error: Error): void {
    if (this.#isClosing) return
    this.#ports.toUser({ kind: 'openFailed', error: errorMessage(error) })
    this.close()
  }
}
