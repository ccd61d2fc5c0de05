/** Applies a log in a process that kills itself when a certain value is inserted, or committed. */
import { Replica } from '../../src/database/database.ts'
import { Writer } from '../../src/sqlite/sqlite.ts'
import { applyAll, LogMaker, optionsFor } from './log-maker.ts'

export function startLog(): LogMaker {
  const log = new LogMaker()
  log.register()
  log.write('app', ['CREATE TABLE t (id INTEGER PRIMARY KEY, v)'])
  return log
}

/** One command per value from `first` to `last`. */
export function addInserts(log: LogMaker, last: number, first: number = 1): void {
  for (let value = first; value <= last; value += 1) {
    log.write('app', [['INSERT INTO t (v) VALUES (?)', BigInt(value)]])
  }
}

class Dying extends Writer {
  static at = 0n
  static isPatient = false
  #isDoomed = false

  override run(...args: Parameters<Writer['run']>): ReturnType<Writer['run']> {
    const result = super.run(...args)
    if (!(args[1] instanceof Map) && [...args[1].values()][0] === Dying.at) {
      if (Dying.isPatient) this.#isDoomed = true
      else process.kill(process.pid, 'SIGKILL')
    }
    return result
  }

  override commit(): void {
    super.commit()
    if (this.#isDoomed) process.kill(process.pid, 'SIGKILL')
  }
}

if (import.meta.main) {
  const [directory = '', count = '', at = '', when = 'inserted'] = process.argv.slice(2)
  Dying.at = BigInt(at)
  Dying.isPatient = when === 'committed'
  const log = startLog()
  addInserts(log, Number(count))
  const openWriter = (...args: ConstructorParameters<typeof Writer>): Writer => new Dying(...args)
  const options = optionsFor(directory, { openWriter })
  applyAll(Replica.open(options), log)
}
