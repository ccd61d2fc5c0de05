import { debuglog } from 'node:util'
import type { EngineToUser } from '../engine/engine.ts'

const debug = debuglog('colmena')

/** Whether `NODE_DEBUG` names `colmena`: only then does the engine say what it decides. */
export function isDebugging(): boolean {
  return debug.enabled
}

/** Prints what a node's engine decided, and how its start went on, a line each. */
export function printDecision(nodeId: string, message: EngineToUser): void {
  const line = describe(message)
  if (line !== null) debug('%s: %s', nodeId, line)
}

function describe(message: EngineToUser): string | null {
  switch (message.kind) {
    case 'decision':
      return message.line
    case 'clusterFound':
      return `clusterFound clusterId=${message.clusterId}`
    case 'startStorage':
      return `databasesOpened generation=${message.generation}`
    case 'established':
      return 'dataDirectoryMade'
    case 'ready':
      return `ready port=${message.port}`
    case 'openFailed':
    case 'fatal':
      return `${message.kind} code=${message.error.code}: ${message.error.message}`
    default:
      return null
  }
}
