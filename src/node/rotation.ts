import { checkSignalOptions, type SignalOptions } from './arguments.ts'
import { checkNotAborted } from './failures.ts'
import { checkKeys } from './nearest.ts'
import type { NodeCore } from './node-core.ts'
import { invalid } from './option-checks.ts'
import type { TlsOptions } from './options.ts'
import { checkSecurity } from './security-options.ts'
import { checkNodeName } from './tls-options.ts'

/** What a node protects its connections by from now on: of the kind that it was opened with. */
export type Rotation =
  | { readonly secret: string | readonly string[] }
  | { readonly tls: TlsOptions }

const KINDS = { psk: 'secret', tls: 'tls', plaintext: 'neither secret nor tls' } as const

/** @throws ColmenaError as {@link ColmenaNode.rotate} */
export async function rotate(
  core: NodeCore,
  rotation: Rotation,
  options: SignalOptions,
): Promise<void> {
  const signal = checkSignalOptions(options, 'rotate')
  core.checkOpen()
  checkNotAborted(signal)
  checkKeys(rotation, ['secret', 'tls'], invalid, ' of rotate')
  const security = checkSecurity(rotation)
  const [asked, own] = [KINDS[security.kind], KINDS[core.config.security.kind]]
  if (security.kind === 'plaintext') throw invalid('rotate needs a new secret, or a new tls')
  if (asked !== own) {
    throw invalid(
      `rotate got ${asked}, and this node was opened with ${own}: all nodes of a cluster have ` +
        'the same, and what kind it is changes only while all of them are stopped',
    )
  }
  checkNodeName(security, core.identity.nodeId)
  await core.request({ method: 'rotate', security }, signal)
}
