/**
 * The scenario format of cockroachdb/datadriven: a directive, perhaps input lines, `----`, and the
 * output expected, up to a blank line (or, after a second `----`, up to another pair of them).
 */

export interface Argument {
  readonly key: string
  readonly values: readonly string[]
}

export interface Directive {
  readonly command: string
  readonly args: readonly Argument[]
  readonly input: string
  readonly expected: string
  /** Of the directive, counted from 1. */
  readonly line: number
}

const SEPARATOR = '----'

export function parseScenario(text: string): Directive[] {
  const lines = text.split('\n')
  const directives: Directive[] = []
  let at = 0
  while (at < lines.length) {
    const line = at + 1
    let head = lines[at++]!.trim()
    if (head === '' || head.startsWith('#')) continue
    while (head.endsWith('\\')) head = `${head.slice(0, -1)} ${lines[at++]!.trim()}`
    const input: string[] = []
    while (at < lines.length && lines[at] !== SEPARATOR) input.push(lines[at++]!)
    if (at === lines.length) throw new Error(`line ${line}: a directive without ${SEPARATOR}`)
    const expected: string[] = []
    at = readExpected(lines, at + 1, expected)
    const { command, args } = parseDirective(head)
    const text = expected.map((each) => `${each}\n`).join('')
    directives.push({ command, args, input: input.join('\n'), expected: text, line })
  }
  return directives
}

function readExpected(lines: readonly string[], from: number, expected: string[]): number {
  let at = from
  if (lines[at] === SEPARATOR) {
    at++
    while (at < lines.length && !(lines[at] === SEPARATOR && lines[at + 1] === SEPARATOR)) {
      expected.push(lines[at++]!)
    }
    return at + 2
  }
  while (at < lines.length && lines[at]!.trim() !== '') expected.push(lines[at++]!)
  return at
}

/** `command key key=value key=(value, value)`; parentheses nest. */
export function parseDirective(head: string): { command: string; args: Argument[] } {
  const words = splitTopLevel(head, ' ').filter((word) => word !== '')
  const args = words.slice(1).map((word): Argument => {
    const equals = word.indexOf('=')
    if (equals < 0) return { key: word, values: [] }
    const key = word.slice(0, equals)
    const value = word.slice(equals + 1)
    if (!value.startsWith('(')) return { key, values: [value] }
    const inner = value.slice(1, -1)
    const values = inner === '' ? [] : splitTopLevel(inner, ',').map((each) => each.trim())
    return { key, values }
  })
  return { command: words[0]!, args }
}

function splitTopLevel(text: string, separator: string): string[] {
  const parts = ['']
  let depth = 0
  for (const char of text) {
    if (char === '(') depth++
    if (char === ')') depth--
    if (char === separator && depth === 0) parts.push('')
    else parts[parts.length - 1] += char
  }
  return parts
}

/** A handler's text as the scenarios write it: every output ends its last line. */
export function closeLine(output: string): string {
  return output === '' || output.endsWith('\n') ? output : `${output}\n`
}

/** Positional arguments, as numbers. */
export function numbersOf(args: readonly Argument[]): number[] {
  return args.filter((arg) => arg.values.length === 0).map((arg) => Number(arg.key))
}

/** The values given for a key, over all its appearances. */
export function valuesOf(args: readonly Argument[], key: string): string[] {
  return args.filter((arg) => arg.key === key).flatMap((arg) => arg.values)
}
