import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BackupTarget, EncryptionOptions } from '../../src/backup/backup.ts'
import { Keys } from '../../src/backup/keys.ts'
import type { Wanted } from '../../src/backup/points.ts'
import { type Replayed, replayBackup } from '../../src/backup/restoring.ts'
import { Store } from '../../src/backup/store.ts'
import { findDamages } from '../../src/backup/verifying.ts'
import { openReplay } from '../../src/index.ts'
import { hashContent, Reader } from '../../src/sqlite/sqlite.ts'

export interface RestoredContent extends Omit<Replayed, 'replay'> {
  /** Of each database file, as `<name>.db`. */
  readonly hashes: Readonly<Record<string, string>>
}

/** What a target's backup comes to. */
export async function contentOf(
  target: BackupTarget,
  wanted: Wanted,
  encryption?: EncryptionOptions,
): Promise<RestoredContent> {
  const directory = mkdtempSync(join(tmpdir(), 'colmena-restored-'))
  const copies = join(directory, 'db', '1')
  try {
    const store = new Store(target, new Keys(encryption))
    const openIt = () => openReplay({ directory })
    const { replay, ...replayed } = await replayBackup(store, {
      copies,
      openReplay: openIt,
      wanted,
    })
    await replay.close()
    return { ...replayed, hashes: hashFiles(copies) }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function hashFiles(directory: string): Readonly<Record<string, string>> {
  const files = readdirSync(directory).filter((name) => name.endsWith('.db'))
  const hashes = files.toSorted().map((name) => {
    const reader = new Reader(join(directory, name))
    try {
      return [name, hashContent(reader)]
    } finally {
      reader.close()
    }
  })
  return Object.fromEntries(hashes)
}

/** All that is said to be wrong with a backup. */
export async function damagesOf(
  target: BackupTarget,
  encryption?: EncryptionOptions,
): Promise<readonly string[]> {
  const directory = mkdtempSync(join(tmpdir(), 'colmena-damages-'))
  const store = new Store(target, new Keys(encryption))
  const damages = await findDamages(store, { directory })
  return damages.map(({ name, message }) => `${name}: ${message}`)
}
