/**
 * What a log entry carries: pure codecs, no IO. A payload begins with an envelope (magic, kind,
 * format version); a decoder bounds every length and answers garbage with DecodeError and a newer
 * format with ERR_UNSUPPORTED_FORMAT. What a command does to the databases is `database/`'s work,
 * who may propose it the engine's.
 */
export * from './compaction.ts'
export * from './control.ts'
export { COMMAND_FORMAT, COMMAND_FORMAT_MIN, COMMAND_KINDS, type CommandKind } from './envelope.ts'
export * from './kind.ts'
export * from './lease.ts'
export * from './member.ts'
export { CHECKSUM_BYTES, type MigrationStamp } from './migration-stamp.ts'
export * from './packed.ts'
export * from './result.ts'
export * from './trial.ts'
export * from './value.ts'
export * from './write.ts'
