import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts'
import { ColmenaError } from '../base/errors.ts'
import { extensionsIn } from '../base/fingerprint.ts'
import { toErrorCode } from './error-wire.ts'
import type { Identity, PeerHello, Purpose, Refusal } from './port.ts'

/** The largest hello, welcome or refusal: all that a stranger's bytes can make us hold. */
export const HANDSHAKE_BYTES_MAX = 4096

const MAGIC = 0x4e4d4c43 // 'CLMN'
const PROTOCOL_VERSION = 1
const CLUSTER_ID_BYTES = 16
const BOOT_NONCE_BYTES = 8
const TEXT_BYTES_MAX = 1024
const PURPOSES: readonly Purpose[] = ['control', 'bulk', 'call', 'snapshot']

/** What a hello says beyond the identity. `expects` is the member the dialer wants, 0 for any. */
export interface Hello {
  readonly identity: Identity
  readonly purpose: Purpose
  readonly expects: number
}

/** A hello (from the dialer) or a welcome (the answer): the same layout. */
export function encodeHello({ identity, purpose, expects }: Hello): Uint8Array {
  checkIdentity(identity)
  const writer = new ByteWriter(512)
  writer.u32(MAGIC).u16(PROTOCOL_VERSION)
  writer.u8(PURPOSES.indexOf(purpose)).u53(expects)
  writer.raw(identity.clusterId).raw(identity.bootNonce)
  writer.u53(identity.memberId).u53(identity.incarnation)
  writer.u32(identity.formatMin).u32(identity.formatMax)
  writer.text(identity.nodeId).text(identity.address).text(identity.fingerprint)
  return writer.finish()
}

/** Refuses what could not be sent. @throws ColmenaError `ERR_INVALID_ARGUMENT` */
export function checkIdentity(identity: Identity): void {
  const { clusterId, bootNonce, nodeId, address, fingerprint } = identity
  const isSized =
    clusterId.length === CLUSTER_ID_BYTES &&
    bootNonce.length === BOOT_NONCE_BYTES &&
    [nodeId, address, fingerprint].every((text) => Buffer.byteLength(text) <= TEXT_BYTES_MAX)
  if (isSized) return
  throw new ColmenaError(
    'ERR_INVALID_ARGUMENT',
    'an identity has a cluster id of 16 bytes, a boot nonce of 8 and texts of at most 1024',
  )
}

/**
 * Reads a hello or welcome. A refusal means: these are Colmena's bytes, of a version that is not
 * ours.
 *
 * @throws DecodeError if they are something else
 */
export function decodeHello(bytes: Uint8Array): Hello | Refusal {
  const reader = new ByteReader(bytes)
  if (reader.u32() !== MAGIC) throw new DecodeError('not a Colmena handshake')
  const version = reader.u16()
  if (version !== PROTOCOL_VERSION) {
    return {
      code: 'ERR_UNSUPPORTED_FORMAT',
      message: `protocol version ${version} met a node that speaks ${PROTOCOL_VERSION} alone`,
    }
  }
  const purpose = PURPOSES[reader.u8()]
  if (purpose === undefined) throw new DecodeError('an unknown purpose')
  const expects = reader.u53()
  const identity: Identity = {
    clusterId: reader.raw(CLUSTER_ID_BYTES).slice(),
    bootNonce: reader.raw(BOOT_NONCE_BYTES).slice(),
    memberId: reader.u53(),
    incarnation: reader.u53(),
    formatMin: reader.u32(),
    formatMax: reader.u32(),
    nodeId: readText(reader),
    address: readText(reader),
    fingerprint: readText(reader),
  }
  reader.end()
  return { identity, purpose, expects }
}

function readText(reader: ByteReader): string {
  const text = reader.text()
  if (Buffer.byteLength(text) > TEXT_BYTES_MAX) throw new DecodeError('a text is too long')
  return text
}

/** A refusal's layout never changes, so that every version can read why it was refused. */
export function encodeRefusal(refusal: Refusal): Uint8Array {
  const message = refusal.message.slice(0, TEXT_BYTES_MAX)
  return new ByteWriter().u32(MAGIC).text(refusal.code).text(message).finish()
}

/** @throws DecodeError */
export function decodeRefusal(bytes: Uint8Array): Refusal {
  const reader = new ByteReader(bytes)
  if (reader.u32() !== MAGIC) throw new DecodeError('not a Colmena refusal')
  const [code, message] = [reader.text(), reader.text()]
  if (message.length > TEXT_BYTES_MAX) {
    throw new DecodeError(`a refusal of ${message.length} characters`)
  }
  return { code: toErrorCode(code), message }
}

/** The checks that every socket passes first, whoever owns the transport. */
export function checkHello(own: Identity, hello: PeerHello, expects: number): Refusal | null {
  if (equalBytes(own.bootNonce, hello.bootNonce)) {
    return { code: 'ERR_OWN_ADDRESS', message: `${hello.remoteAddress} is this very node` }
  }
  const bothKnown = own.clusterId.some(isSet) && hello.clusterId.some(isSet)
  if (bothKnown && !equalBytes(own.clusterId, hello.clusterId)) {
    return {
      code: 'ERR_OTHER_CLUSTER',
      message:
        `node '${own.nodeId}' belongs to cluster ${shortId(own)}, node '${hello.nodeId}' to ` +
        `cluster ${shortId(hello)}. If one of them was recovered from a lost quorum, the other ` +
        'one is left of the cluster that was: stop it, move its data directory away, and let it ' +
        'join anew with an empty one',
    }
  }
  if (bothKnown && own.memberId !== 0 && own.memberId === hello.memberId) {
    return {
      code: 'ERR_ALREADY_OPEN',
      message: `two live processes call themselves member ${own.memberId}`,
    }
  }
  if (own.formatMin > hello.formatMax || own.formatMax < hello.formatMin) {
    return {
      code: 'ERR_UNSUPPORTED_FORMAT',
      message:
        `node '${hello.nodeId}' reads formats ${hello.formatMin} to ${hello.formatMax}, ` +
        `node '${own.nodeId}' ${own.formatMin} to ${own.formatMax}`,
    }
  }
  return checkExtensions(own, hello) ?? checkRoles(own, hello, expects)
}

function shortId({ clusterId }: Identity): string {
  return Buffer.from(clusterId.subarray(0, 4)).toString('hex')
}

/** What extensions add is in what entries say and in the files: all nodes must have the same. */
function checkExtensions(own: Identity, hello: PeerHello): Refusal | null {
  const ours = extensionsIn(own.fingerprint)
  const theirs = extensionsIn(hello.fingerprint)
  if (ours === theirs) return null
  return {
    code: 'ERR_OTHER_EXTENSIONS',
    message:
      `node '${own.nodeId}' was opened with extensions ${ours || '(none)'}, node ` +
      `'${hello.nodeId}' with ${theirs || '(none)'}: one list, in one order, for all nodes`,
  }
}

function checkRoles(own: Identity, hello: PeerHello, expects: number): Refusal | null {
  if (hello.purpose !== 'call' && (own.memberId === 0 || hello.memberId === 0)) {
    return {
      code: 'ERR_HANDSHAKE',
      message: `a ${hello.purpose} socket joins two members, and one of these nodes is none yet`,
    }
  }
  const expected = hello.isIncoming ? own.memberId : hello.memberId
  if (expects === 0 || expects === expected) return null
  return {
    code: 'ERR_HANDSHAKE',
    message: `wanted member ${expects}, but member ${expected} answers at this address`,
  }
}

function isSet(byte: number): boolean {
  return byte !== 0
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
