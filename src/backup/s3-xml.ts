import { parseXml, XmlElement } from '@rgrove/parse-xml'

/** An answer of S3. @throws Error where it is no XML */
export function readXml(text: string): XmlElement {
  const { root } = parseXml(text)
  if (root === null) throw new Error('there is nothing in it')
  return root
}

export function childrenOf(element: XmlElement, name: string): XmlElement[] {
  const elements = element.children.filter((child) => child instanceof XmlElement)
  return elements.filter((child) => child.name === name)
}

/** The text of the one child of that name; undefined where there is none. */
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
