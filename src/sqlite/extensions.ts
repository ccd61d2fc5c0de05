import type { DatabaseSync } from 'node:sqlite'
import { ColmenaError } from '../base/errors.ts'
import type { NamedExtension } from '../base/fingerprint.ts'
import { DATABASE_OPTIONS, requireSqlite } from './runtime.ts'

/** A library of SQL functions and virtual tables, as this node finds it. */
export interface Extension extends NamedExtension {
  /** Absolute: the loader would look for others in places of its own. */
  readonly path: string
}

/** What extensions brought to one connection, by names in lower case. */
export interface AddedNames {
  readonly functions: ReadonlySet<string>
  readonly modules: ReadonlySet<string>
}

const NOTHING_ADDED: AddedNames = { functions: new Set(), modules: new Set() }

/**
 * Loads extensions into a connection that allows it, before any statement of a user is prepared on
 * it, and shuts that door for good. `load_extension()` in SQL stays refused throughout.
 *
 * @throws ColmenaError ERR_EXTENSION_FAILED
 */
export function loadExtensions(db: DatabaseSync, extensions: readonly Extension[]): AddedNames {
  if (extensions.length === 0) return NOTHING_ADDED
  const before = namesOf(db)
  for (const extension of extensions) loadOne(db, extension)
  db.enableLoadExtension(false)
  const after = namesOf(db)
  return {
    functions: without(after.functions, before.functions),
    modules: without(after.modules, before.modules),
  }
}

/**
 * Whether they can be loaded at all, and will add the same to every connection. One that enters
 * itself for all connections of the process would add nothing to the second one, as far as
 * {@link loadExtensions} can see: what a write may call would depend on what was opened before.
 *
 * @param countAdded tests put extensions that there are none of in the place of real ones.
 * @throws ColmenaError ERR_EXTENSION_FAILED, naming the extension, its path and the reason.
 */
export function probeExtensions(
  extensions: readonly Extension[],
  countAdded: typeof countAddedToNew = countAddedToNew,
): void {
  for (const extension of extensions) {
    const first = countAdded(extension)
    if (first > 0 && countAdded(extension) === first) continue
    throw failed(
      extension,
      'it adds no function, virtual table or collation of its own to a connection; perhaps it ' +
        'enters itself for all connections of the process (sqlite3_auto_extension), which ' +
        'would reach further than this node',
    )
  }
}

/** How many names an extension adds to a new connection. */
function countAddedToNew(extension: Extension): number {
  const { DatabaseSync } = requireSqlite()
  const db = new DatabaseSync(':memory:', { ...DATABASE_OPTIONS, allowExtension: true })
  try {
    const count = (): number => {
      const { functions, modules } = namesOf(db)
      return functions.size + modules.size + namesIn(db, 'collation').size
    }
    const before = count()
    loadOne(db, extension)
    return count() - before
  } finally {
    db.close()
  }
}

function loadOne(db: DatabaseSync, extension: Extension): void {
  try {
    db.loadExtension(extension.path)
  } catch (cause) {
    throw failed(extension, (cause as Error).message, cause)
  }
}

function failed({ name, version, path }: Extension, why: string, cause?: unknown): ColmenaError {
  const message = `the extension ${name}@${version} could not be loaded from ${path}: ${why}`
  return new ColmenaError('ERR_EXTENSION_FAILED', message, { cause })
}

function namesOf(db: DatabaseSync): AddedNames {
  return { functions: namesIn(db, 'function'), modules: namesIn(db, 'module') }
}

function without(names: ReadonlySet<string>, known: ReadonlySet<string>): Set<string> {
  return new Set([...names].filter((name) => !known.has(name)))
}

function namesIn(db: DatabaseSync, kind: 'function' | 'module' | 'collation'): Set<string> {
  const rows = db.prepare(`SELECT lower(name) FROM pragma_${kind}_list`).all()
  return new Set((rows as unknown as [string][]).map(([name]) => name))
}
