/** Reads what came over one connection as the answers that it is. */
import assert from 'node:assert/strict'

export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

/** The last one may be cut off; before it everything must be whole. */
export function readAnswers(bytes: Buffer): HttpAnswer[] {
  const answers: HttpAnswer[] = []
  let rest = bytes.toString('latin1')
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) break
    const head = rest.slice(0, end)
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1])
    assert.ok(status > 0, `no head of an answer: ${head.slice(0, 200)}`)
    const [body, next] = readBody(head, rest.slice(end + 4))
    rest = next
    // Only a word on the way.
    if (status !== 100) answers.push({ status, body })
  }
  return answers
}

function readBody(head: string, rest: string): [body: string, next: string] {
  const length = /^content-length: (\d+)$/im.exec(head)?.[1]
  if (length !== undefined) return [rest.slice(0, Number(length)), rest.slice(Number(length))]
  if (!/^transfer-encoding: chunked$/im.test(head)) return [rest, '']
  let body = ''
  let left = rest
  for (;;) {
    const match = /^([0-9a-f]+)\r\n/i.exec(left)
    if (match === null) {
      assert.equal(left, '', 'a chunk of an answer begins with its length')
      return [body, '']
    }
    const bytes = Number.parseInt(match[1] as string, 16)
    const from = match[0].length
    body += left.slice(from, from + bytes)
    left = left.slice(from + bytes + 2)
    if (bytes === 0) return [body, left]
  }
}
