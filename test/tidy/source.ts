/** What the rules know of a file: its text, and what its syntax tree says. */
import { type ParserPlugin, parse } from '@babel/parser'

/** One file of the project; `path` is relative to its root and has forward slashes. */
export interface ProjectFile {
  readonly path: string
  readonly text: string
}

/** One broken rule; `message` says what is wrong and what to do instead. */
export interface Violation {
  readonly path: string
  readonly line: number
  readonly message: string
}

/** The parts of a syntax tree node that the rules read. */
export interface SyntaxNode {
  readonly type: string
  readonly loc?: {
    readonly start: { readonly line: number }
    readonly end: { readonly line: number }
  }
  readonly [field: string]: unknown
}

/** One import of any kind, also types, re-exports, `import()` and `new URL('./x.ts', …)`. */
export interface ImportReference {
  readonly specifier: string
  readonly line: number
  readonly kind: 'value' | 'type' | 'dynamic' | 'url'
}

const trees = new WeakMap<ProjectFile, SyntaxNode>()

export function parseSource(file: ProjectFile): SyntaxNode {
  const known = trees.get(file)
  if (known !== undefined) return known
  const plugins: ParserPlugin[] = /\.tsx?$/.test(file.path) ? ['typescript'] : []
  if (file.path.endsWith('x')) plugins.push('jsx')
  const options = { sourceType: 'module', plugins, createImportExpressions: true } as const
  const tree = parse(file.text, options) as unknown as SyntaxNode
  trees.set(file, tree)
  return tree
}

/** Calls `visit` with every node below `node` and the nodes it stands in, innermost last. */
export function walk(
  node: SyntaxNode,
  visit: (node: SyntaxNode, parents: readonly SyntaxNode[]) => void,
  parents: readonly SyntaxNode[] = [],
): void {
  visit(node, parents)
  const inner = [...parents, node]
  for (const [field, value] of Object.entries(node)) {
    if (field === 'loc' || field.endsWith('omments')) continue
    for (const child of Array.isArray(value) ? value : [value]) {
      if (isNode(child)) walk(child, visit, inner)
    }
  }
}

export function isNode(value: unknown): value is SyntaxNode {
  return (
    typeof value === 'object' && value !== null && typeof (value as SyntaxNode).type === 'string'
  )
}

export function lineOf(node: SyntaxNode): number {
  return node.loc?.start.line ?? 0
}

/** The name of an identifier, or undefined for anything else. */
export function nameOf(node: unknown): string | undefined {
  return isNode(node) && node.type === 'Identifier' ? (node['name'] as string) : undefined
}

/** The property name of `object.name`, or undefined for anything else. */
export function memberOf(node: unknown): string | undefined {
  if (!isNode(node) || node.type !== 'MemberExpression' || node['computed'] === true) {
    return undefined
  }
  return nameOf(node['property'])
}

export function findImports(file: ProjectFile): ImportReference[] {
  const found: ImportReference[] = []
  walk(parseSource(file), (node) => {
    const reference = readImport(node)
    if (reference !== undefined) found.push({ ...reference, line: lineOf(node) })
  })
  return found
}

function readImport(node: SyntaxNode): Omit<ImportReference, 'line'> | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration': {
      const specifier = readString(node['source'])
      if (specifier === undefined) return undefined
      return { specifier, kind: isTypeOnly(node) ? 'type' : 'value' }
    }
    case 'TSImportType':
      return readReference(node['source'] ?? node['argument'], 'type')
    case 'ImportExpression':
      return readReference(node['source'], 'dynamic')
    case 'NewExpression':
      if (nameOf(node['callee']) !== 'URL') return undefined
      return readReference((node['arguments'] as unknown[])[0], 'url')
    default:
      return undefined
  }
}

function readReference(
  node: unknown,
  kind: ImportReference['kind'],
): Omit<ImportReference, 'line'> | undefined {
  const specifier = readString(node)
  return specifier === undefined ? undefined : { specifier, kind }
}

/**
 * Only a statement marked `type` as a whole vanishes when types are stripped: `import { type A }`
 * still loads the module.
 */
function isTypeOnly(node: SyntaxNode): boolean {
  return node['importKind'] === 'type' || node['exportKind'] === 'type'
}

/** The value of a string literal, also inside a type. */
export function readString(node: unknown): string | undefined {
  if (!isNode(node)) return undefined
  if (node.type === 'StringLiteral') return node['value'] as string
  if (node.type === 'TSLiteralType') return readString(node['literal'])
  return undefined
}
