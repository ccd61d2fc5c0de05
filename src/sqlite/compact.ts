import type { Writer } from './writer.ts'

/**
 * Writes the whole file anew, without what is free in it, in a transaction of its own. Rows of a
 * table that has neither an INTEGER PRIMARY KEY nor any index are numbered anew from 1 on in their
 * order, by the schema and the rows alone; all others keep their rowids. A second time changes
 * nothing.
 */
export function compact(writer: Writer): void {
  writer.internal(() => writer.own('VACUUM').run())
}
