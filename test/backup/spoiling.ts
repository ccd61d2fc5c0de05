/** What becomes of objects in a target that nobody watches over. */
import type { Finished } from './finished-backup.ts'

/** Objects by their names. */
export type Objects = ReadonlyMap<string, Uint8Array>

export interface Spoiled {
  /** What was done, for whoever reads of it. */
  readonly what: string
  readonly objects: Objects
  /** The objects that are not what they were. */
  readonly names: readonly string[]
}

/** Bits that are flipped: the lowest, and one that makes text no text. */
const BITS = [0x01, 0x80]

export function objectsOf({ held }: Finished['target']): Objects {
  return new Map([...held].map(([name, { bytes }]) => [name, new Uint8Array(bytes)]))
}

/** One object after the other, each in every way. */
export function* spoil(finished: Finished, placesPerObject: number): Generator<Spoiled> {
  const objects = objectsOf(finished.target)
  const foreign = byKind(objectsOf(finished.other))
  const kinds = byKind(objects)
  for (const [name, bytes] of objects) {
    const kind = kinds.get(kindOf(name)) ?? []
    const at = kind.findIndex(([own]) => own === name)
    yield* changed(objects, name, bytes, placesPerObject)
    const next = kind[at + 1]
    if (next !== undefined) {
      const both = new Map(objects).set(name, next[1]).set(next[0], bytes)
      yield { what: `${name} and ${next[0]} swapped`, objects: both, names: [name, next[0]] }
    }
    const versions = finished.target.versions.get(name) ?? []
    const older = versions[Math.floor((versions.length - 1) / 2)]
    if (versions.length > 1) yield* replaced(objects, name, older, 'an older one of it')
    yield* replaced(objects, name, foreign.get(kindOf(name))?.[at]?.[1], 'that of another backup')
  }
}

function* changed(
  objects: Objects,
  name: string,
  bytes: Uint8Array,
  places: number,
): Generator<Spoiled> {
  for (let place = 0; place < places; place += 1) {
    const at = Math.floor(((bytes.length - 1) * place) / (places - 1))
    const flipped = new Uint8Array(bytes)
    flipped[at] = (flipped[at] as number) ^ (BITS[place % BITS.length] as number)
    yield* replaced(objects, name, flipped, `byte ${at} of ${bytes.length} flipped`)
  }
  yield* replaced(objects, name, bytes.slice(0, -1), 'a byte short')
  yield* replaced(objects, name, bytes.slice(0, bytes.length / 2), 'half of it')
  yield* replaced(objects, name, Buffer.concat([bytes, bytes]), 'twice in a row')
  yield* replaced(objects, name, new Uint8Array(0), 'empty')
  const without = new Map(objects)
  without.delete(name)
  yield { what: `${name}: removed`, objects: without, names: [name] }
}

function* replaced(
  objects: Objects,
  name: string,
  bytes: Uint8Array | undefined,
  what: string,
): Generator<Spoiled> {
  const before = objects.get(name)
  if (bytes === undefined || before === undefined || Buffer.compare(bytes, before) === 0) return
  yield { what: `${name}: ${what}`, objects: new Map(objects).set(name, bytes), names: [name] }
}

function byKind(objects: Objects): ReadonlyMap<string, readonly [string, Uint8Array][]> {
  return Map.groupBy(objects, ([name]) => kindOf(name))
}

/** Of neighbours: what is of a kind may be taken one for another. */
function kindOf(name: string): string {
  return name.includes('/log/') ? 'log' : (name.split('/').at(-1) as string)
}
