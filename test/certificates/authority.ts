import type { TestContext } from 'node:test'
import {
  type Authority,
  createAuthority,
  issueCertificate,
} from '../../src/certificates/certificates.ts'
import type { TransportSecurity } from '../../src/transport/transport.ts'

const DAY_MS = 86_400_000

export type Tls = Extract<TransportSecurity, { kind: 'tls' }>

/** A CA, and what nodes are given by it. */
export class TestAuthority {
  readonly #authority: Authority

  constructor(authority: Authority) {
    this.#authority = authority
  }

  /** One that was made so many days ago, where that is not today. */
  static async create(name = 'test CA', days?: number): Promise<TestAuthority> {
    return new TestAuthority(await createAuthority({ name, days }))
  }

  /** Its certificate, as nodes trust it. */
  get cert(): string {
    return this.#authority.cert
  }

  /** For one node, which trusts this CA and the others given. */
  async tls(nodeId: string, trusted: readonly TestAuthority[] = [this], days = 10): Promise<Tls> {
    const { cert: ca, key: caKey } = this.#authority
    const leaf = await issueCertificate({ ca, caKey, nodeId, days })
    return { kind: 'tls', ca: trusted.map(({ cert }) => cert).join(''), ...leaf }
  }
}

/** Runs `make` as if it were so many days from now, or ago. */
export async function atDay<T>(t: TestContext, days: number, make: () => Promise<T>): Promise<T> {
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + days * DAY_MS })
  try {
    return await make()
  } finally {
    t.mock.timers.reset()
  }
}
