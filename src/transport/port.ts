import type { ColmenaError } from '../base/errors.ts'
import type { Cancel, Clock, Random } from '../base/ports.ts'
import type { MemberId } from '../raft/types.ts'
import type { TrafficValue } from './traffic.ts'

/** Two sockets per direction: a heartbeat (`control`) never waits behind entries (`bulk`). */
export type Lane = 'control' | 'bulk'

/** What a socket is for; said in its handshake, and it stays that until it closes. */
export type Purpose = Lane | 'call' | 'snapshot'

/** Who this process is; read anew at each handshake. */
export interface Identity {
  /** 16 bytes; all zero while this node does not know its cluster. */
  readonly clusterId: Uint8Array
  /** 0 while this node is no member: then it can make calls, but no links. */
  readonly memberId: MemberId
  readonly nodeId: string
  /** Where others can reach this node, `host:port`. */
  readonly address: string
  /** 8 random bytes of this process: two processes of one member differ in it. */
  readonly bootNonce: Uint8Array
  readonly incarnation: number
  /** The formats that this node can read, both ends included. */
  readonly formatMin: number
  readonly formatMax: number
  /** What decides whether two nodes run SQL alike. */
  readonly fingerprint: string
}

/**
 * The other side of a socket, by its own words. A certificate proves its node id, a secret that it
 * is one of us; without both nothing is proved.
 */
export interface PeerHello extends Identity {
  readonly purpose: Purpose
  /** True if it dialed us. */
  readonly isIncoming: boolean
  readonly remoteAddress: string
}

export interface SnapshotFile {
  /** Lower-case letters, digits, `_`, `-` and `.`, not beginning with a dot; at most 96. */
  readonly name: string
  readonly sizeBytes: number
  /** 32 bytes over the whole file. */
  readonly sha256: Uint8Array
}

export interface SnapshotManifest {
  /** 16 bytes; equal ids mean equal bytes in every file: that makes a stream resumable. */
  readonly id: Uint8Array
  readonly index: number
  readonly term: number
  /** The owner's bytes, at most 1 MiB. */
  readonly extra: Uint8Array
  readonly files: readonly SnapshotFile[]
}

/**
 * How sockets are protected: encrypted, forward secret and mutually authenticated, or not at all.
 * `psk`: TLS 1.2 with a pre-shared key. Secrets come newest first, each of at least 16 bytes.
 * `tls`: TLS 1.3 with certificates in PEM, that of each node for its node id. `ca` may hold
 * several; `cert` is the node's own, before any that lead from it to a CA.
 */
export type TransportSecurity =
  | { readonly kind: 'plaintext' }
  | { readonly kind: 'psk'; readonly secrets: readonly string[] }
  | { readonly kind: 'tls'; readonly ca: string; readonly cert: string; readonly key: string }

export interface TransportOptions {
  /** Port 0 takes any free one; {@link Transport.port} says which. */
  readonly bind: { readonly host: string; readonly port: number }
  readonly security: TransportSecurity
  readonly identity: () => Identity
  readonly clock: Clock
  readonly random: Random
  /** The largest body of one frame, in bytes. @defaultValue 8 MiB */
  readonly frameBytesMax?: number | undefined
  /** Unsent bytes per peer and lane; past it frames are dropped. @defaultValue 32 MiB */
  readonly sendQueueBytesMax?: number | undefined
  /** Sockets that have not finished their handshake. @defaultValue 64 */
  readonly unauthenticatedMax?: number | undefined
  /** The same per remote address. @defaultValue half of `unauthenticatedMax` */
  readonly unauthenticatedPerAddressMax?: number | undefined
  /** From connecting to welcome, TLS included. @defaultValue 3000 */
  readonly handshakeTimeoutMs?: number | undefined
  /** How often a link is probed. @defaultValue 1000 */
  readonly pingMs?: number | undefined
  /** A link that says nothing for so long is closed. @defaultValue 5 × `pingMs` */
  readonly silenceMsMax?: number | undefined
  /** A snapshot stream that does not move for so long is closed. @defaultValue 30000 */
  readonly snapshotStallMs?: number | undefined
  /** What all outgoing snapshot streams together send. @defaultValue 40 MiB */
  readonly snapshotBytesPerSecond?: number | undefined
}

/** Why a peer is gone: its process closed every socket, or the network did (or we did). */
export type DisconnectCause = 'processGone' | 'link'

export interface Refusal {
  readonly code: ColmenaError['code']
  readonly message: string
}

export type Reply = (error: ColmenaError | null, body?: Uint8Array) => void

/** What the transport tells its owner. None is called after `close()`. */
export interface TransportHandlers {
  /**
   * Asked at every handshake that passed the transport's own checks, in both directions; a
   * refusal closes the socket, and a dialer that is refused learns code and message.
   */
  peerHello(peer: PeerHello): Refusal | null
  /** One frame of a link, opaque to the transport. Nobody else writes to `body`: keep it freely. */
  frame(from: MemberId, lane: Lane, kind: number, body: Uint8Array): void
  /** A member's first incoming link opened. Its frames may come before ours reach it. */
  connected(peer: MemberId, hello: PeerHello): void
  /** A member's last incoming link closed. */
  disconnected(peer: MemberId, cause: DisconnectCause): void
  /** A request; `reply` once, at any time. A caller that is no member has member id 0. */
  call(from: PeerHello, kind: number, body: Uint8Array, reply: Reply): void
  /**
   * A member wants to send a snapshot. `accept` names a directory that is this stream's own: what
   * it holds of the same snapshot is kept and resumed, everything else in it is deleted.
   */
  snapshotOffered(
    from: MemberId,
    manifest: SnapshotManifest,
    accept: (directory: string) => void,
    refuse: (reason: string) => void,
  ): void
  /** The end of an accepted stream. Without error every file is whole, checked and durable. */
  snapshotReceived(from: MemberId, manifest: SnapshotManifest, error: ColmenaError | null): void
  /** Something for a person to read; the same trouble with one peer at most once a minute. */
  warning(code: string, message: string, cause?: unknown): void
}

export interface PeerStatus {
  readonly id: MemberId
  readonly address: string
  /** Whether frames can be sent to it now (on the control lane). */
  readonly isConnected: boolean
  /** Whether it holds an incoming link to this node. */
  readonly isIncoming: boolean
  /** The clock's `nowMs()` when something was last heard of it, on any link. */
  readonly lastContactMs: number | null
  /** The last probe's round trip. */
  readonly rttMs: number | null
  /** From its newest handshake; null before the first. */
  readonly hello: PeerHello | null
  /** Why the last try to connect failed; null while connected. */
  readonly lastError: ColmenaError | null
}

/** The engine's network. The simulator implements the same interface. */
export interface Transport {
  readonly port: number
  /**
   * When the first of the certificates that this node shows, or that they lead to, is good no more,
   * in milliseconds since 1970; null without certificates. A month before `handlers.warning` is
   * told of it, `ERR_CERTIFICATE`, or later where they are made for less than four months.
   */
  readonly certificateEndsMs: number | null
  /** Keeps both lanes to this peer open; a changed address redials. */
  setPeer(id: MemberId, address: string): void
  removePeer(id: MemberId): void
  /** Ends the links that this member holds to here; where it dials again, it is judged again. */
  endLinksOf(id: MemberId): void
  /**
   * Sends one frame, or drops it: false without a link or with a full queue. `kind` is 0 … 199.
   * The parts are not copied: they must never change again.
   */
  send(to: MemberId, lane: Lane, kind: number, parts: readonly Uint8Array[]): boolean
  /** Bytes of both lanes that this process has not handed to the kernel. */
  queuedBytes(to: MemberId): number
  /**
   * One request and its answer, from a member or from any address. `done` is called once, never
   * within this call. Errors: what the other side replied, or `ERR_FAILED` (cannot reach it),
   * `ERR_HANDSHAKE` (wrong secret or certificate, no Colmena there), a refusal's code,
   * `ERR_TIMEOUT`, `ERR_BUSY`, `ERR_CLOSED`. `outcome` is 'unknown' once the request may have
   * arrived.
   */
  call(to: MemberId | string, kind: number, body: Uint8Array, timeoutMs: number, done: Reply): void
  /**
   * Streams `manifest.files` out of `directory` on a socket of its own. `done` without error means
   * that the receiver has everything durable. After a retryable error the same call resumes.
   * Cancelling ends it with `ERR_ABORTED`.
   */
  sendSnapshot(
    to: MemberId,
    manifest: SnapshotManifest,
    directory: string,
    done: (error: ColmenaError | null) => void,
  ): Cancel
  /**
   * Protects all connections by this from now on; of the same kind as before. Those that there are
   * are made anew, so that none lives on under what was replaced: calls under way get up to ten
   * seconds for their answers, snapshot streams end with a retryable error. `done` is called once:
   * with an error, and nothing is changed, or when the new security holds for all that comes.
   */
  rotate(security: TransportSecurity, done: (error: ColmenaError | null) => void): void
  peers(): readonly PeerStatus[]
  traffic(): TrafficValue
  /** Ends everything; all callers' `done` are called when no socket or file is open any more. */
  close(done: () => void): void
}
