/** The transport's own frame kinds; owners' kinds end below them. */
export const OWNER_KIND_MAX = 199

export const WIRE_KIND = {
  hello: 255,
  welcome: 254,
  refusal: 253,
  ping: 252,
  pong: 251,
  /** This link ends on purpose while the process lives: not a sign of death. */
  goodbye: 250,
  call: 249,
  reply: 248,
  snapshotOffer: 240,
  snapshotHave: 241,
  snapshotChunk: 242,
  snapshotEnd: 243,
  snapshotProgress: 244,
  snapshotDone: 245,
  snapshotFailed: 246,
} as const
