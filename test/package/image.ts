/** What a Dockerfile makes, made by a shell in an empty folder. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { readSteps } from '../examples/dockerfile.ts'
import { copyDependencies } from './consumer.ts'
import { foreignEnv, type Packed, root } from './packed.ts'

/** The folder of the image that its program runs in. */
export function buildImage(packed: Packed, example: string, dockerfile: string): string {
  const image = join(packed.folder, `image-${example}`)
  const context = join(packed.folder, `context-${example}`)
  cpSync(join(root, 'examples', example), context, { recursive: true })
  copyFileSync(packed.tarball, join(context, 'colmena.tgz'))
  mkdirSync(image)
  let folder = image
  for (const { name, text } of readSteps(dockerfile)) {
    if (name === 'WORKDIR') {
      folder = join(image, text)
      mkdirSync(folder, { recursive: true })
      // Nothing is downloaded here: npm finds what the package needs in its place already.
      copyDependencies(folder)
    } else if (name === 'COPY') {
      const words = text.split(' ')
      const sources = words.slice(0, -1).map((source) => join(context, source))
      shell(folder, `cp -r ${sources.join(' ')} ${words.at(-1)}`, packed)
    } else if (name === 'RUN') {
      shell(folder, text, packed)
    }
  }
  return folder
}

function shell(cwd: string, line: string, packed: Packed): void {
  const env = {
    ...foreignEnv(),
    npm_config_offline: 'true',
    npm_config_cache: join(packed.folder, 'cache'),
  }
  const { status, stdout, stderr } = spawnSync('sh', ['-euc', line], {
    cwd,
    env,
    encoding: 'utf8',
    timeout: 60_000,
  })
  assert.equal(status, 0, `${line}: ${stdout}${stderr}`)
}
