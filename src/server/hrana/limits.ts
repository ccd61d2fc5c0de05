const KIB = 1024
const MIB = 1024 * KIB

/** Bounds of what clients of the protocol may ask for and leave behind. */
export interface HranaLimits {
  /** Streams that wait for their next request; beyond it the one that waits longest is dropped. */
  readonly streamsMax: number
  readonly streamIdleMs: number
  readonly storedSqlTextsMax: number
  /** Of one stream. */
  readonly storedSqlBytesMax: number
  /** Of all streams together; beyond it the ones that wait longest are dropped. */
  readonly storedSqlTotalBytesMax: number
  readonly pipelineRequestsMax: number
  readonly batchStepsMax: number
  readonly conditionDepthMax: number
  /** Rows of one pipeline's answer, or of one step of a cursor, as JSON. */
  readonly answerBytesMax: number
}

export const HRANA_LIMITS: HranaLimits = Object.freeze({
  streamsMax: 4_096,
  streamIdleMs: 10_000,
  storedSqlTextsMax: 150,
  storedSqlBytesMax: 256 * KIB,
  storedSqlTotalBytesMax: 16 * MIB,
  pipelineRequestsMax: 1_000,
  batchStepsMax: 65_536,
  conditionDepthMax: 16,
  answerBytesMax: 32 * MIB,
})
