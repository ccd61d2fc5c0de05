import sax from 'sax'

export interface XmlElement {
  readonly name: string
  /** What stands in it and not in its children. */
  readonly text: string
  readonly children: readonly XmlElement[]
}

/** An answer of S3. @throws Error where it is no XML */
export function readXml(text: string): XmlElement {
  const top = { name: '', text: '', children: [] as XmlElement[] }
  const open = [top]
  const parser = sax.parser(true)
  // Where it was lies behind the first line.
  parser.onerror = ({ message }) => {
    throw new Error(`the answer is no XML: ${message.split('\n', 1)[0]}`)
  }
  parser.onopentag = ({ name }) => {
    const element = { name, text: '', children: [] }
    open.at(-1)?.children.push(element)
    open.push(element)
  }
  parser.onclosetag = () => open.pop()
  const add = (more: string): void => {
    const element = open.at(-1)
    if (element !== undefined) element.text += more
  }
  parser.ontext = add
  parser.oncdata = add
  parser.write(text).close()
  const [root] = top.children
  if (root === undefined) throw new Error('the answer is no XML: there is nothing in it')
  return root
}

export function childrenOf(element: XmlElement, name: string): XmlElement[] {
  return element.children.filter((child) => child.name === name)
}

/** The text of the first child of that name; undefined where there is none. */
export function textOf(element: XmlElement, name: string): string | undefined {
  return childrenOf(element, name)[0]?.text
}

/** What ends an upload in parts. An ETag may be any text. */
export function writeParts(etags: readonly string[]): Uint8Array {
  const parts = etags.map((etag, at) => {
    const escaped = etag.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
    return `<Part><PartNumber>${at + 1}</PartNumber><ETag>${escaped}</ETag></Part>`
  })
  const xml = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`
  return Buffer.from(xml)
}
