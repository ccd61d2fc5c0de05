import { isColmenaError } from '../index.ts'
import { damaged } from './damage.ts'
import { getDocument, type Opened, putDocument } from './documents.ts'
import type { Keys } from './keys.ts'
import { type Listed, type SegmentName, sortNames } from './names.ts'
import type { BackupObject, Objects, TargetCall } from './objects.ts'
import { encodeSegment, readSegment, type Segment } from './segment.ts'
import { type Bytes, passing } from './streams.ts'

/** A target with the keys to what is in it, and the signal that ends all calls. */
export class Store {
  readonly target: Objects
  readonly keys: Keys
  readonly #call: TargetCall

  constructor(target: Objects, keys: Keys, signal?: AbortSignal) {
    this.target = target
    this.keys = keys
    this.#call = { signal }
  }

  get label(): string {
    return this.target.label
  }

  /** @throws ColmenaError ERR_BACKUP_DAMAGED also where it is missing; ERR_TARGET, ERR_ABORTED */
  async document<T extends object>(name: string): Promise<T> {
    return (await this.openDocument<T>(name)).content
  }

  /** A document, and by whose key it was sealed. @throws as {@link document} */
  async openDocument<T extends object>(name: string): Promise<Opened<T>> {
    const opened = await this.#openOrNull<T>(name)
    if (opened === null) throw damaged(this, name, 'is missing')
    return opened
  }

  /** Null where there is none. @throws as {@link document} */
  async documentOrNull<T extends object>(name: string): Promise<T | null> {
    return (await this.#openOrNull<T>(name))?.content ?? null
  }

  async #openOrNull<T extends object>(name: string): Promise<Opened<T> | null> {
    try {
      return await getDocument<T>(this.target, this.keys, name, this.#call)
    } catch (error) {
      if (isColmenaError(error) && error.code === 'ERR_NOT_FOUND') return null
      throw error
    }
  }

  async putDocument(name: string, content: object): Promise<void> {
    await putDocument(this.target, this.keys, name, content, this.#call)
  }

  /**
   * Puts a document anew where another key than the current one sealed it.
   *
   * @throws as {@link document}
   */
  async reseal(name: string): Promise<void> {
    if (!this.keys.hasOld) return
    const { content, keyId } = await this.openDocument(name)
    if (keyId !== this.keys.current?.id) await this.putDocument(name, content)
  }

  /** @returns false where there is one */
  claimDocument(name: string, content: object): Promise<boolean> {
    const call = { ...this.#call, ifAbsent: true }
    return putDocument(this.target, this.keys, name, content, call)
  }

  /** @throws as {@link document} */
  segment(name: SegmentName): Promise<Segment> {
    return readSegment(this, name, this.get(name.name), this.keys)
  }

  /** @returns how many bytes it has there */
  putSegment(name: string, segment: Segment): Promise<number> {
    return this.put(name, encodeSegment(name, segment, this.keys))
  }

  /** @returns how many bytes it has there */
  async put(name: string, content: Bytes): Promise<number> {
    let bytes = 0
    const seen = passing(content, (piece) => {
      bytes += piece.length
    })
    await this.target.put(name, seen, this.#call)
    return bytes
  }

  /** @throws as {@link document} */
  async *get(name: string): Bytes {
    try {
      yield* this.target.get(name, this.#call)
    } catch (error) {
      if (!isColmenaError(error) || error.code !== 'ERR_NOT_FOUND') throw error
      throw damaged(this, name, 'is missing', error)
    }
  }

  async delete(names: Iterable<string>): Promise<void> {
    for (const name of names) await this.target.delete(name, this.#call)
  }

  async objects(prefix: string): Promise<readonly BackupObject[]> {
    const objects: BackupObject[] = []
    for await (const object of this.target.list(prefix, this.#call)) objects.push(object)
    return objects
  }

  /** By generation, in their order. */
  async generations(): Promise<readonly Listed[]> {
    return sortNames(await this.objects(''))
  }

  /** Null where there is none of that name. */
  async generation(name: string): Promise<Listed | null> {
    return sortNames(await this.objects(`${name}/`))[0] ?? null
  }
}
