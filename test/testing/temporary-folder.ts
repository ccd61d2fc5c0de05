import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'

/** Where the temporary files of one test file go while it runs: what is left there is its own. */
export class TemporaryFolder {
  #path = ''

  constructor() {
    const given = process.env['TMPDIR']
    before(() => {
      this.#path = mkdtempSync(join(tmpdir(), 'colmena-test-nodes-'))
      process.env['TMPDIR'] = this.#path
    })
    after(() => {
      if (given === undefined) delete process.env['TMPDIR']
      else process.env['TMPDIR'] = given
      rmSync(this.#path, { recursive: true, force: true })
    })
  }

  get path(): string {
    return this.#path
  }

  list(): string[] {
    return readdirSync(this.#path)
  }
}
