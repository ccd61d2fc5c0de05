import { isIP } from 'node:net'
import { isPrefix } from './object-name.ts'
import { checkKeys, checkSwitch, checkWhole, invalidOption, show } from './option-checks.ts'

export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Of credentials that end. */
  readonly sessionToken?: string | undefined
  /** When they end, in milliseconds since 1970: others are asked for a minute before. */
  readonly expiresMs?: number | undefined
}

export interface S3TargetOptions {
  readonly bucket: string
  /**
   * What all names of objects begin with in the bucket, as in `backups/shop`; of the characters of
   * names.
   *
   * @defaultValue '', which is all of the bucket
   */
  readonly prefix?: string | undefined
  /**
   * Where S3 is spoken, without the bucket. `https://` is needed, or `http://` for what may go
   * unencrypted and open to changes on its way.
   *
   * @defaultValue AWS's, of the region
   */
  readonly endpoint?: string | undefined
  /** @defaultValue 'us-east-1' */
  readonly region?: string | undefined
  readonly accessKeyId?: string | undefined
  readonly secretAccessKey?: string | undefined
  readonly sessionToken?: string | undefined
  /**
   * Gives credentials, instead of the three above: asked at first need, again before they end, and
   * once where the target says that they have ended.
   */
  readonly credentials?: (() => Promise<S3Credentials>) | undefined
  /**
   * Puts the bucket into the path of addresses instead of the name of the host. Needed where
   * `<bucket>.<endpoint>` is no host: MinIO as it comes, an endpoint that is an IP address; and for
   * buckets with a dot in their name, which no certificate covers.
   *
   * @defaultValue false
   */
  readonly pathStyle?: boolean | undefined
  /**
   * How `ifAbsent` is kept. `auto` lets the target decide (`If-None-Match`), once it has shown that
   * it does; `never`, and `auto` where it does not, looks before and behind, which two that put the
   * same name within half a second can both win.
   *
   * @defaultValue 'auto'
   */
  readonly conditionalPut?: 'auto' | 'never' | undefined
  /**
   * Larger objects are put in parts of so many bytes, 10,000 at most: 78 GiB by default. Each put
   * holds one part in memory.
   *
   * @defaultValue 8388608
   */
  readonly partBytes?: number | undefined
  /**
   * A connection on which nothing moves for so long is given up, in milliseconds.
   *
   * @defaultValue 30000
   */
  readonly stallMs?: number | undefined
  /**
   * How long a request that fails is tried again, up to eight times, in milliseconds.
   *
   * @defaultValue 60000
   */
  readonly retryMs?: number | undefined
}

/** What {@link S3TargetOptions} become. */
export interface S3Config {
  readonly label: string
  readonly bucket: string
  /** Empty, or with a slash at its end. */
  readonly prefix: string
  /** Of the bucket, with a slash at its end. */
  readonly baseUrl: string
  readonly region: string
  readonly credentials: S3Credentials | (() => Promise<S3Credentials>)
  readonly isConditional: boolean
  readonly isTigris: boolean
  readonly partBytes: number
  readonly stallMs: number
  readonly retryMs: number
}

const MIB = 1_048_576
const TIMER_MS_MAX = 0x7fff_ffff
/** Of buckets that others than AWS have: AWS's own are a part of these. */
const BUCKET = /^[a-zA-Z0-9][a-zA-Z0-9._-]{1,62}$/
const KEYS: Readonly<Record<keyof S3TargetOptions, true>> = {
  bucket: true,
  prefix: true,
  endpoint: true,
  region: true,
  accessKeyId: true,
  secretAccessKey: true,
  sessionToken: true,
  credentials: true,
  pathStyle: true,
  conditionalPut: true,
  partBytes: true,
  stallMs: true,
  retryMs: true,
}

/** @throws ColmenaError ERR_INVALID_OPTION */
export function toS3Config(options: S3TargetOptions): S3Config {
  checkKeys(options, Object.keys(KEYS), 's3Target')
  const { bucket, conditionalPut = 'auto', partBytes = 8 * MIB } = options
  const { stallMs = 30_000, retryMs = 60_000, region = 'us-east-1' } = options
  if (typeof bucket !== 'string' || !BUCKET.test(bucket)) {
    throw invalidOption(`bucket is ${show(bucket)}; it must be the name of one, as 'my-backups'`)
  }
  if (typeof region !== 'string' || !/^[a-z0-9-]{1,50}$/.test(region)) {
    throw invalidOption(`region is ${show(region)}; it must be as 'eu-central-1'`)
  }
  if (conditionalPut !== 'auto' && conditionalPut !== 'never') {
    throw invalidOption(`conditionalPut is ${show(conditionalPut)}; it must be 'auto' or 'never'`)
  }
  const prefix = toPrefix(options.prefix ?? '')
  const baseUrl = toBaseUrl(options, bucket, region)
  return {
    label: `s3://${bucket}/${prefix}`.slice(0, -1),
    bucket,
    prefix,
    baseUrl,
    region,
    credentials: toCredentials(options),
    isConditional: conditionalPut === 'auto',
    isTigris: /\.(tigris\.dev|storage\.dev)$/.test(new URL(baseUrl).hostname),
    partBytes: checkWhole('partBytes', partBytes, 5 * MIB, 1_024 * MIB),
    stallMs: checkWhole('stallMs', stallMs, 100, TIMER_MS_MAX / 100),
    retryMs: checkWhole('retryMs', retryMs, 0, TIMER_MS_MAX),
  }
}

function toPrefix(prefix: unknown): string {
  if (typeof prefix !== 'string' || !isPrefix(prefix)) {
    throw invalidOption(
      `prefix is ${show(prefix)}; it must be of a-z, A-Z, 0-9, '.', '_' and '-' in parts ` +
        "that are joined by '/', as 'backups/shop'",
    )
  }
  return prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`
}

function toBaseUrl(options: S3TargetOptions, bucket: string, region: string): string {
  const { pathStyle = false } = options
  const china = region.startsWith('cn-') ? '.cn' : ''
  const { endpoint = `https://s3.${region}.amazonaws.com${china}` } = options
  const url = typeof endpoint === 'string' ? URL.parse(endpoint) : null
  const isWeb = url?.protocol === 'https:' || url?.protocol === 'http:'
  if (url === null || !isWeb || url.search !== '' || url.hash !== '' || url.username !== '') {
    const example = "'https://s3.example.com', or 'http://' where nothing need be encrypted"
    throw invalidOption(`endpoint is ${show(endpoint)}; it must be as ${example}`)
  }
  const folder = url.pathname.endsWith('/') ? url.pathname : `${url.pathname}/`
  if (checkSwitch('pathStyle', pathStyle)) return `${url.origin}${folder}${bucket}/`
  if (isIP(url.hostname.replaceAll(/[[\]]/g, '')) !== 0) {
    throw invalidOption(`no bucket has a host below ${url.hostname}: say pathStyle: true`)
  }
  if (bucket.includes('.') && url.protocol === 'https:') {
    const why = 'has a dot, and no certificate is for it as a host'
    throw invalidOption(`bucket ${bucket} ${why}: say pathStyle: true`)
  }
  return `${url.protocol}//${bucket}.${url.host}${folder}`
}

function toCredentials(options: S3TargetOptions): S3Config['credentials'] {
  const { accessKeyId, secretAccessKey, sessionToken, credentials } = options
  const given = [accessKeyId, secretAccessKey, sessionToken].some((one) => one !== undefined)
  if (credentials !== undefined) {
    if (typeof credentials !== 'function') {
      throw invalidOption(`credentials is ${show(credentials)}; it must be a function`)
    }
    if (given) throw invalidOption('credentials or accessKeyId and secretAccessKey: not both')
    return credentials
  }
  const fixed = { accessKeyId, secretAccessKey, sessionToken }
  const slip = findCredentialSlip(fixed)
  if (slip !== null) throw invalidOption(`${slip}; or give a function credentials`)
  return fixed as S3Credentials
}

/** What is wrong with credentials, without what they are; null where they may be right. */
export function findCredentialSlip(credentials: unknown): string | null {
  if (typeof credentials !== 'object' || credentials === null) return 'they are no object'
  const { accessKeyId, secretAccessKey, sessionToken } = credentials as Record<string, unknown>
  // What else is in them would end the header that they are put in.
  const isKey = (value: unknown): boolean => typeof value === 'string' && /^[!-~]+$/.test(value)
  if (!isKey(accessKeyId)) return 'accessKeyId is missing, or no text without spaces'
  if (!isKey(secretAccessKey)) return 'secretAccessKey is missing, or no text without spaces'
  if (sessionToken !== undefined && !isKey(sessionToken)) return 'sessionToken has other characters'
  return null
}
