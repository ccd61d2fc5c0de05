import type { Replay } from './replay.ts'

/** Where a restore ends: behind that entry, or before the first of a later time. */
export type RestorePoint =
  | { readonly index: number }
  /** In milliseconds since 1970. */
  | { readonly timeMs: number }

/** What a source is given to bring a data directory back. */
export interface RestoreRequest {
  /** An empty folder on the data directory's disk, for the copies: `<name>.db`, each in place. */
  readonly copies: string
  /** undefined: to the newest that there is. */
  readonly to: RestorePoint | undefined
  /** Of the node that it will be; undefined where a name is made up. */
  readonly nodeId: string | undefined
  /** What the options have beside `from` and `to`: the source's own, which it checks. */
  readonly options: Readonly<Record<string, unknown>>
  /** Ends it soon, with ERR_ABORTED. */
  readonly signal: AbortSignal | undefined
  /**
   * Opens what lies in `copies`, once it is all there; again, if other copies took their place
   * after the replay of the first ones was closed. What the last one has come to when `restore`
   * resolves is what the node has. Leave that open: whoever asked closes it.
   *
   * @throws ColmenaError as of `openReplay`
   */
  openReplay(options?: { readonly voided?: readonly number[] | undefined }): Promise<Replay>
  /** Tells how far it is, in words: what `logger.info` gets. */
  progress(message: string, details?: object): void
}

/** Something that data directories are restored from. */
export interface RestoreSource {
  /**
   * Brings copies and the log behind them, and compares what it came to. Nothing has become of the
   * data directory where it rejects, and that is what `open` rejects with.
   */
  restore(request: RestoreRequest): Promise<void>
}

/** What is restored, from where. All else that is in it is told to the source. */
export interface RestoreOptions {
  readonly from: RestoreSource
  /**
   * The last moment that counts: as an ISO text with its zone (`2026-03-01T12:00:00Z`), in
   * milliseconds since 1970, or as a Date; or the index of the last entry.
   *
   * @defaultValue the newest that there is
   */
  readonly to?: string | number | Date | { readonly index: number } | undefined
  readonly [option: string]: unknown
}
