import type { Socket } from 'node:net'
import { ColmenaError } from '../base/errors.ts'
import type { Clock, Random } from '../base/ports.ts'
import { HANDSHAKE_BYTES_MAX } from './hello.ts'
import { OpenResources } from './open-resources.ts'
import { Pace } from './pace.ts'
import type { Identity, TransportHandlers, TransportOptions } from './port.ts'
import { Traffic } from './traffic.ts'
import { WarningThrottle } from './warning-throttle.ts'

const MIB = 1024 * 1024

/** Options after checking, with every default filled in. */
export interface TransportConfig {
  readonly identity: () => Identity
  readonly clock: Clock
  readonly random: Random
  readonly frameBytesMax: number
  readonly sendQueueBytesMax: number
  readonly unauthenticatedMax: number
  readonly unauthenticatedPerAddressMax: number
  readonly handshakeTimeoutMs: number
  readonly pingMs: number
  readonly silenceMsMax: number
  readonly snapshotStallMs: number
  readonly snapshotBytesPerSecond: number
}

/** What every part of one open transport shares. */
export interface TransportContext {
  readonly config: TransportConfig
  readonly handlers: TransportHandlers
  readonly warnings: WarningThrottle
  readonly resources: OpenResources
  readonly snapshotPace: Pace
  readonly traffic: Traffic
}

/** @throws ColmenaError `ERR_INVALID_OPTION` */
export function checkOptions(options: Omit<TransportOptions, 'security'>): TransportConfig {
  const unauthenticatedMax = options.unauthenticatedMax ?? 64
  const pingMs = options.pingMs ?? 1000
  const frameBytesMax = options.frameBytesMax ?? 8 * MIB
  const config: TransportConfig = {
    identity: options.identity,
    clock: options.clock,
    random: options.random,
    frameBytesMax,
    sendQueueBytesMax: options.sendQueueBytesMax ?? Math.max(32 * MIB, 2 * frameBytesMax),
    unauthenticatedMax,
    unauthenticatedPerAddressMax:
      options.unauthenticatedPerAddressMax ?? Math.ceil(unauthenticatedMax / 2),
    handshakeTimeoutMs: options.handshakeTimeoutMs ?? 3000,
    pingMs,
    silenceMsMax: options.silenceMsMax ?? 5 * pingMs,
    snapshotStallMs: options.snapshotStallMs ?? 30_000,
    snapshotBytesPerSecond: options.snapshotBytesPerSecond ?? 40 * MIB,
  }
  for (const [name, value] of Object.entries(config)) {
    if (typeof value !== 'number' || (Number.isSafeInteger(value) && value >= 1)) continue
    throw new ColmenaError('ERR_INVALID_OPTION', `${name} must be a positive integer, is ${value}`)
  }
  if (config.frameBytesMax < HANDSHAKE_BYTES_MAX || config.frameBytesMax > 1024 * MIB) {
    throw new ColmenaError('ERR_INVALID_OPTION', 'frameBytesMax must be 4 KiB to 1 GiB')
  }
  if (config.sendQueueBytesMax < config.frameBytesMax) {
    throw new ColmenaError('ERR_INVALID_OPTION', 'sendQueueBytesMax is less than frameBytesMax')
  }
  return config
}

/** The context of a new transport. */
export function createContext(
  config: TransportConfig,
  handlers: TransportHandlers,
): TransportContext {
  const warnings = new WarningThrottle(config.clock, handlers)
  const resources = new OpenResources()
  const snapshotPace = new Pace(config.clock, config.snapshotBytesPerSecond)
  return { config, handlers, warnings, resources, snapshotPace, traffic: new Traffic() }
}

/** Socket settings that hold before any byte, TLS included, and the count for `close()`. */
export function adoptSocket(context: TransportContext, socket: Socket): void {
  context.resources.add(socket)
  socket.once('close', () => context.resources.remove(socket))
  socket.setNoDelay(true)
  socket.setKeepAlive(true, 10_000)
}
