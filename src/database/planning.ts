import {
  commandKind,
  type DropDatabase,
  decodeDropDatabase,
  decodeWrite,
  unpackWrite,
  type WriteCommand,
} from '../command/command.ts'
import type { Entry } from '../raft/types.ts'

/** An entry decoded, as far as it says what is to be done with it. */
export type PlannedEntry =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'confChange' }
  | { readonly kind: 'registerOrigin' | 'raiseFormat' }
  | { readonly kind: 'write' | 'leases'; readonly command: WriteCommand }
  | { readonly kind: 'drop'; readonly command: DropDatabase }

/** @throws DecodeError, or ColmenaError ERR_UNSUPPORTED_FORMAT, for what can't be read. */
export function planEntry(entry: Entry): PlannedEntry {
  if (entry.type !== 'normal') return { kind: 'confChange' }
  // A new leader's first entry carries nothing.
  if (entry.data.length === 0) return { kind: 'nothing' }
  switch (commandKind(entry.data)) {
    case 'write':
    case 'leases':
      return plannedWrite(decodeWrite(entry.data))
    case 'packedWrite':
      return plannedWrite(decodeWrite(unpackWrite(entry.data)))
    case 'raiseFormat':
      return { kind: 'raiseFormat' }
    case 'registerOrigin':
      return { kind: 'registerOrigin' }
    case 'hashContent':
    // Its work is at the entry that it names, and done by now.
    case 'void':
      return { kind: 'nothing' }
    case 'dropDatabase':
      return { kind: 'drop', command: decodeDropDatabase(entry.data) }
  }
}

function plannedWrite(command: WriteCommand): PlannedEntry {
  return { kind: command.kind ?? 'write', command }
}
