import { invalidOption } from '../cluster/cluster.ts'
import type { FlyOptions } from './start-fly.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** What Fly.io sets on each machine, by the option that it becomes. */
const REQUIRED = {
  machineId: 'FLY_MACHINE_ID',
  privateIp: 'FLY_PRIVATE_IP',
  region: 'FLY_REGION',
  app: 'FLY_APP_NAME',
} as const
const DATA_DIR = '/data'

/**
 * The options of {@link startFly} as the environment of a machine says them. Of our own there are
 * `COLMENA_DATA_DIR` (`/data` without it), `COLMENA_SECRET`, `COLMENA_BOOTSTRAP_EXPECT` and
 * `COLMENA_FORCE_CLEAN_START=1`.
 *
 * @throws ColmenaError ERR_INVALID_OPTION, naming every variable that is missing or wrong
 */
export function fromEnv(env: Environment = process.env): FlyOptions {
  const missing = Object.values(REQUIRED).filter((name) => (env[name] ?? '') === '')
  if (missing.length > 0) {
    throw invalidOption(
      `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing from the ` +
        'environment, where Fly.io sets it on every machine; elsewhere pass the options of ' +
        'startFly yourself',
    )
  }
  const read = (option: keyof typeof REQUIRED): string => env[REQUIRED[option]] as string
  return {
    machineId: read('machineId'),
    privateIp: read('privateIp'),
    region: read('region'),
    app: read('app'),
    dataDir: env['COLMENA_DATA_DIR'] || DATA_DIR,
    secret: readSecrets(env['COLMENA_SECRET']),
    bootstrapExpect: readCount(env['COLMENA_BOOTSTRAP_EXPECT']),
    forceCleanStart: readSwitch(env['COLMENA_FORCE_CLEAN_START']),
  }
}

/** One on each line, newest first: several while it is changed. */
function readSecrets(text = ''): string | readonly string[] | undefined {
  const lines = text.split('\n').map((line) => line.trim())
  const secrets = lines.filter((line) => line !== '')
  return secrets.length > 1 ? secrets : secrets[0]
}

function readCount(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text)
  throw invalidOption(`COLMENA_BOOTSTRAP_EXPECT is '${text}'; it must be a whole number from 1 on`)
}

function readSwitch(text: string | undefined): boolean {
  if (text === undefined || text === '' || text === '0') return false
  if (text === '1') return true
  throw invalidOption(`COLMENA_FORCE_CLEAN_START is '${text}'; it must be 1, or not there`)
}
