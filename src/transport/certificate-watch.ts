import { X509Certificate } from 'node:crypto'
import type { Clock } from '../base/ports.ts'

/** Until when a node's certificates are good: none may have ended. */
export interface Validity {
  /** Of the one that ends first, in milliseconds since 1970. */
  readonly fromMs: number
  readonly untilMs: number
  /** Its name, on one line, and whether it is a CA's. */
  readonly subject: string
  readonly isAuthority: boolean
}

const DAY_MS = 86_400_000
/** For so long before the end it is told, but where all of it is not much longer than that. */
const NOTICE_MS_MAX = 30 * DAY_MS
/** Who has certificates for a day renews them once two thirds of it are over. */
const NOTICE_SHARE = 1 / 4
/** Each certificate of a text. */
export const PEM_CERTIFICATE: RegExp =
  /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g

/** Of the certificates that a node shows, and of those it trusts that have signed one of them. */
export function readValidity({
  cert,
  ca,
}: {
  readonly cert: string
  readonly ca: string
}): Validity {
  const shown = readAll(cert)
  const hasSigned = (authority: X509Certificate): boolean =>
    shown.some((one) => one.checkIssued(authority) && one.verify(authority.publicKey))
  const all = [...shown, ...readAll(ca).filter(hasSigned)]
  const first = all.reduce((a, b) => (b.validToDate <= a.validToDate ? b : a))
  return {
    fromMs: first.validFromDate.getTime(),
    untilMs: first.validToDate.getTime(),
    subject: first.subject.replaceAll('\n', ', '),
    isAuthority: first.ca,
  }
}

function readAll(pem: string): readonly X509Certificate[] {
  return (pem.match(PEM_CERTIFICATE) ?? [pem]).map((one) => new X509Certificate(one))
}

/**
 * Tells that this node's certificates are about to end, in time for someone to renew them, and once
 * a day until they did: connections that there are would go on, and hide that no new one is made.
 */
export class CertificateWatch {
  readonly #clock: Clock
  readonly #warn: (message: string) => void
  #validity: Validity | null
  #isOver = false
  #toldMs: number | null = null

  constructor(clock: Clock, validity: Validity | null, warn: (message: string) => void) {
    this.#clock = clock
    this.#warn = warn
    this.#validity = validity
  }

  /** In milliseconds since 1970; null where there are none. */
  get endsMs(): number | null {
    return this.#validity?.untilMs ?? null
  }

  /** These are shown from now on. */
  replace(validity: Validity | null): void {
    this.#validity = validity
    this.#isOver = false
    this.#toldMs = null
  }

  look(): void {
    if (this.#validity === null) return
    const { fromMs, untilMs } = this.#validity
    const leftMs = untilMs - this.#clock.wallMs()
    if (leftMs > Math.min(NOTICE_MS_MAX, (untilMs - fromMs) * NOTICE_SHARE)) return
    const isOver = leftMs <= 0
    const nowMs = this.#clock.nowMs()
    const isTold = this.#toldMs !== null && nowMs - this.#toldMs < DAY_MS
    if (isTold && isOver === this.#isOver) return
    this.#isOver = isOver
    this.#toldMs = nowMs
    this.#warn(describe(this.#validity, leftMs))
  }
}

function describe({ untilMs, subject, isAuthority }: Validity, leftMs: number): string {
  const until = new Date(untilMs).toISOString()
  const [whose, remedy] = isAuthority
    ? ["the CA above this node's certificate", 'replace the CA']
    : ["this node's certificate", 'have a new one issued']
  const when =
    leftMs <= 0
      ? `has expired, at ${until}: no new connection is made`
      : `expires in ${inWords(leftMs)}, at ${until}: no new connection is made from then on`
  return `${whose} (${subject}) ${when}. In time, ${remedy}, and rotate`
}

function inWords(leftMs: number): string {
  const days = Math.floor(leftMs / DAY_MS)
  if (days >= 2) return `${days} days`
  return `${Math.max(1, Math.floor(leftMs / 3_600_000))} h`
}
