import { LIVES, type Mutation } from './mutation.ts'

/** What survives a crash, and what must not be taken for it. */
export const log: readonly Mutation[] = [
  {
    id: 'hard-state-not-synced',
    bug: 'A batch without entries is not synced, though it has a vote or a term.',
    file: 'src/log/log.ts',
    text: 'return mustSync || entries.length > 0',
    replacement: 'return entries.length > 0',
    breaks: ['E1'],
    caughtBy: LIVES,
  },
  {
    id: 'snapshot-mark-not-synced',
    bug: 'The log is not synced when it names the databases of a snapshot.',
    file: 'src/log/log.ts',
    text: '    if (snapshot !== null) return true\n',
    replacement: '',
    breaks: ['S8', 'D8', 'H6'],
    caughtBy: LIVES,
  },
  {
    id: 'sync-of-first-append-alone',
    bug: 'Of appends that share a write the first alone decides whether it is synced.',
    file: 'src/log/writer.ts',
    text: 'group.some((pending) => pending.mustSync)',
    replacement: 'group[0]?.mustSync === true',
    breaks: ['L14', 'E1'],
    caughtBy: LIVES,
  },
  {
    id: 'unsynced-left-behind',
    bug: 'A synced write leaves a hole where earlier bytes were written without a sync.',
    file: 'src/log/writer.ts',
    text:
      '    const payload = isRewritten ? this.#unsynced.bytes : bytes\n' +
      '    const offset = isRewritten ? this.#syncedEnd : start',
    replacement: '    const payload = bytes\n    const offset = start',
    breaks: ['L14', 'D3'],
    caughtBy: LIVES,
  },
  {
    id: 'failed-write-tried-again',
    bug: 'A write or sync that failed is taken for one that may be tried again.',
    file: 'src/log/writer.ts',
    text: '      if (error !== null || this.#failure !== null) {\n',
    replacement:
      '      if (error !== null) {\n' +
      '        this.#isBusy = true\n' +
      '        this.#active.file.write(payload, offset, { sync: mustSync }, () => {\n' +
      '          this.#isBusy = false\n' +
      '          this.#syncedEnd = segment.end\n' +
      '          this.#unsynced.clear()\n' +
      '          done()\n' +
      '        })\n' +
      '        return\n' +
      '      }\n' +
      '      if (this.#failure !== null) {\n',
    breaks: ['D1'],
    caughtBy: { tests: ['test/log/failure.test.ts'] },
  },
  {
    id: 'hole-taken-for-torn-end',
    bug: 'What was durable and is broken is dropped as if a crash had torn it off.',
    file: 'src/log/scan.ts',
    text: 'Math.max(header.durableUpTo, rest.ackedUpTo) > end',
    replacement: 'header.durableUpTo > end',
    breaks: ['D2'],
    caughtBy: { tests: ['test/log/damage.test.ts'] },
  },
  {
    id: 'torn-end-taken-for-loss',
    bug: 'An end that a crash tore off is taken for damage, and the node does not start.',
    file: 'src/log/scan.ts',
    text: 'Math.max(header.durableUpTo, rest.ackedUpTo) > end',
    replacement: 'Math.max(header.durableUpTo, rest.ackedUpTo) > end || rest.hasRecords',
    breaks: ['D3'],
    caughtBy: LIVES,
  },
  {
    id: 'torn-batch-kept-in-part',
    bug: 'Of an append that a crash tore the records up to the tear survive.',
    file: 'src/log/scan.ts',
    text: '    if (!record.endsBatch) continue\n',
    replacement: '',
    breaks: ['D3', 'L11'],
    caughtBy: { tests: ['test/log/crash-sweep.test.ts'] },
  },
  {
    id: 'segment-name-not-durable',
    bug: 'A new segment is used before its name is durable in the directory.',
    file: 'src/log/segment-file.ts',
    text: '          disk.syncDirectory(directory, done)',
    replacement: '          done(null)',
    breaks: ['D5'],
    caughtBy: LIVES,
  },
  {
    id: 'segment-not-sealed-durably',
    bug: 'The next segment is begun while the seal of the one before it is not synced.',
    file: 'src/log/writer.ts',
    text: 'this.#writeRecords([seal], true, () => {',
    replacement: 'this.#writeRecords([seal], false, () => {',
    breaks: ['D4', 'D8'],
    caughtBy: LIVES,
  },
  {
    id: 'salt-left-out',
    bug: 'A record of an earlier use of the same place passes for one of this segment.',
    file: 'src/log/record.ts',
    text: '  return crc32(bytes.subarray(at + 4, at + RECORD_HEADER_BYTES), salt)',
    replacement: '  return crc32(bytes.subarray(at + 4, at + RECORD_HEADER_BYTES), salt & 0)',
    breaks: ['D12'],
    caughtBy: { tests: ['test/log/record.test.ts', 'test/log/damage.test.ts'] },
  },
  {
    id: 'body-not-checked',
    bug: 'The checksum of what a record holds is written and never looked at.',
    file: 'src/log/record.ts',
    text: '  if (crc32(body, salt) !== bytes.readUInt32LE(at + 4)) return null\n',
    replacement: '',
    breaks: ['D10'],
    caughtBy: { tests: ['test/log/damage.test.ts'] },
  },
  {
    id: 'place-not-checked',
    bug: 'A record that was written to another place of the file is read as one of this place.',
    file: 'src/log/record.ts',
    text: '  if (bytes.readUInt32LE(at + 20) !== (fileOffset + at) / 8) return false\n',
    replacement: '',
    breaks: ['D14'],
    caughtBy: { tests: ['test/log/record.test.ts', 'test/log/damage.test.ts'] },
  },
  {
    id: 'full-disk-is-fatal',
    bug: 'A disk without room for the next segment ends the node.',
    file: 'src/log/spare.ts',
    text: '} else if (isOutOfSpace(error)) {',
    replacement: '} else if (isOutOfSpace(error) && this.#isFull) {',
    breaks: ['D6'],
    caughtBy: { tests: ['test/log/failure.test.ts'] },
  },
  {
    id: 'short-write-is-whole',
    bug: 'A write that took a part of the bytes counts for all of them.',
    file: 'src/log/real-disk.ts',
    text: 'if (error !== null || written === bytes.length) return done(error)',
    replacement: 'if (error !== null || written > 0) return done(error)',
    breaks: ['D6'],
    caughtBy: { tests: ['test/log/real-disk.test.ts'] },
  },
  {
    id: 'commit-beyond-log-accepted',
    bug: 'A log that ends before what was committed opens as if nothing were missing.',
    file: 'src/log/recovery.ts',
    text: 'if (hardState.commit > last) {',
    replacement: 'if (hardState.commit > last && this.#isFirst) {',
    breaks: ['S9', 'D2'],
    caughtBy: { tests: ['test/log/damage.test.ts'] },
  },
  {
    id: 'unproven-seal-counts',
    bug: 'A log goes on behind a seal that a failed write left in the cache alone.',
    file: 'src/log/recovery.ts',
    text: 'return isBegun || this.#sealed === null ? { seq, records } : this.#sealed',
    replacement: 'return isBegun || this.#sealed !== null ? { seq, records } : this.#sealed',
    breaks: ['D1', 'D4'],
    caughtBy: { tests: ['test/log/failure.test.ts'] },
  },
  {
    id: 'truncation-not-written',
    bug: 'Entries replace others in memory, and the log on disk is not told that it was cut.',
    file: 'src/log/log.ts',
    text:
      '    if (first !== undefined && first.index <= this.lastIndex) {\n' +
      '      records.push(this.#truncate(first, committed))',
    replacement:
      '    if (first !== undefined && first.index <= this.lastIndex) {\n' +
      '      this.#truncate(first, committed)',
    breaks: ['L11'],
    caughtBy: LIVES,
  },
]
