/** What a call of a target takes. */
export interface TargetCall {
  /** Ends the call with ERR_ABORTED, soon. */
  readonly signal?: AbortSignal | undefined
}

export interface PutCall extends TargetCall {
  /** Only where there is no object of that name: false is answered where there is one. */
  readonly ifAbsent?: boolean | undefined
}

/** An object as a list tells of it. */
export interface BackupObject {
  readonly name: string
  readonly sizeBytes: number
  /** When it was put, by the target's own clock, in milliseconds since 1970. */
  readonly modifiedMs: number
}

/** What a target does, as the rest of a backup sees it; {@link BackupTarget} says what it is. */
export interface Objects {
  readonly label: string
  list(prefix: string, call?: TargetCall): AsyncIterable<BackupObject>
  get(name: string, call?: TargetCall): AsyncIterable<Uint8Array>
  put(
    name: string,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    call?: PutCall,
  ): Promise<boolean>
  delete(name: string, call?: TargetCall): Promise<void>
}
