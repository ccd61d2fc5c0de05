/**
 * Where the fields are in what `ByteWriter` wrote, so that a test can break one of them and leave
 * the bytes around it alone. Every encoder here writes with it.
 */
import { ByteWriter } from '../../src/base/bytes.ts'

export interface Field {
  readonly at: number
  readonly width: number
}

const WIDTHS = { u8: 1, u16: 2, u32: 4, u53: 8, i64: 8, f64: 8, text: 4 } as const
const FIELDS_MAX = 4_096

const written = new WeakMap<ByteWriter, Field[]>()
const finished = new WeakMap<ArrayBufferLike, readonly Field[]>()

function fieldsOf(writer: ByteWriter): Field[] {
  let fields = written.get(writer)
  if (fields === undefined) written.set(writer, (fields = []))
  return fields
}

/** From here on all writers of this thread keep where they write what. */
export function watchFields(): void {
  const { prototype } = ByteWriter
  for (const [name, width] of Object.entries(WIDTHS)) {
    const key = name as keyof typeof WIDTHS
    const write = prototype[key] as (this: ByteWriter, value: never) => ByteWriter
    prototype[key] = function (this: ByteWriter, value: never): ByteWriter {
      const fields = fieldsOf(this)
      // A text's field is its length, in front of it.
      if (fields.length < FIELDS_MAX) fields.push({ at: this.length, width })
      return write.call(this, value)
    } as never
  }
  const { drain, finish } = prototype
  prototype.drain = function (this: ByteWriter, other: ByteWriter): ByteWriter {
    const at = this.length
    for (const field of fieldsOf(other)) fieldsOf(this).push({ ...field, at: at + field.at })
    return drain.call(this, other)
  }
  prototype.finish = function (this: ByteWriter): Uint8Array<ArrayBuffer> {
    const bytes = finish.call(this)
    finished.set(bytes.buffer, fieldsOf(this))
    written.delete(this)
    return bytes
  }
}

/** The parts of an encoding as one, with its fields; empty for what no writer wrote. */
export function gather(parts: readonly Uint8Array[]): {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly fields: readonly Field[]
} {
  const fields: Field[] = []
  let at = 0
  for (const part of parts) {
    for (const field of finished.get(part.buffer) ?? [])
      fields.push({ ...field, at: at + field.at })
    at += part.length
  }
  return { bytes: new Uint8Array(Buffer.concat(parts)), fields }
}
