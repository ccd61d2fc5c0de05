/** A SQLite extension by the words that all nodes must agree on. */
export interface NamedExtension {
  readonly name: string
  readonly version: string
}

const MARK = ' extensions '

/** What all nodes of a cluster must have alike: names and versions, in the order of loading. */
export function listExtensions(extensions: readonly NamedExtension[]): string {
  return extensions.map(({ name, version }) => `${name}@${version}`).join(',')
}

/** An engine's fingerprint with the extensions that it runs; without any it stays as it is. */
export function withExtensions(engine: string, extensions: readonly NamedExtension[]): string {
  return extensions.length === 0 ? engine : `${engine}${MARK}${listExtensions(extensions)}`
}

/** The list in a fingerprint, '' for none. */
export function extensionsIn(fingerprint: string): string {
  const at = fingerprint.lastIndexOf(MARK)
  return at === -1 ? '' : fingerprint.slice(at + MARK.length)
}
