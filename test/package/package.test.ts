/** The package as users get it: packed, installed into empty folders, compiled, bundled, run. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { type BuildOptions, build } from 'esbuild'
import { publint } from 'publint'
import { commandOf } from '../examples/dockerfile.ts'
import { readProject } from '../tidy/project.ts'
import { isNode, lineOf, parseSource, walk } from '../tidy/source.ts'
import { installConsumer, measureFolderBytes, readFirstScreen, runNode, write } from './consumer.ts'
import { buildImage } from './image.ts'
import { hasNode26, node26 } from './node-26.ts'
import { type Packed, packPackage, root } from './packed.ts'

const INSTALLED_BYTES_MAX = 10 * 1024 * 1024
const DEPENDENCIES_MAX = 3

let packed: Packed
let consumer = ''
before(() => {
  packed = packPackage()
  consumer = installConsumer(packed, 'consumer')
})
/** What every TypeScript project for Node.js has; linked, as nothing may be downloaded here. */
function linkTypes(project: string): void {
  const types = join(project, 'node_modules/@types')
  mkdirSync(types)
  symlinkSync(join(root, 'node_modules/@types/node'), join(types, 'node'), 'junction')
}

after(() => packed?.remove())

/** The packages that what this file loads comes from. */
async function findPackageImports(entryPoint: string): Promise<readonly string[]> {
  const { metafile } = await build({
    entryPoints: [entryPoint],
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
  })
  const imports = Object.values(metafile.outputs).flatMap((output) => output.imports)
  const paths = imports.filter(({ external }) => external).map(({ path }) => path)
  return [...new Set(paths.filter((path) => !isBuiltin(path)))]
}

describe('the tarball', () => {
  it('holds what is built and written, and nothing else', () => {
    const paths = packed.files.map(({ path }) => path)
    const pages = ['ARCHITECTURE.md', 'CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']
    for (const page of pages) assert.ok(paths.includes(page), `${page} is missing`)
    const expected =
      /^dist\/package\.json$|^dist\/[\w./-]+(\.js|\.d\.ts)$|^docs\/[\w-]+\.(md|json)$/
    const web = /^dist\/web\/(cluster\.html|demo\.html|assets\/[\w-]+\.(css|js|svg))$/
    const isExpected = (path: string): boolean =>
      pages.includes(path) || (path.startsWith('dist/web/') ? web : expected).test(path)
    const others = paths.filter((path) => !isExpected(path))
    assert.deepEqual(others, [])
  })

  it('has all of its code two folders below its own, from where it finds its files', () => {
    const code = packed.files.map(({ path }) => path).filter((path) => /\.js$/.test(path))
    assert.deepEqual(
      code.filter((path) => !/^dist\/[\w-]+\/[\w-]+\.js$|^dist\/web\//.test(path)),
      [],
    )
    assert.ok(code.includes('dist/index/index.js'))
  })

  it('has types of what it offers, and of nothing else', () => {
    const types = packed.files.filter(({ path }) => path.endsWith('.d.ts'))
    const paths = types.map(({ path }) => path)
    assert.ok(paths.includes('dist/index.d.ts'))
    assert.ok(!paths.includes('dist/engine/engine-thread.d.ts'))
  })

  it('is faultless to publint', async () => {
    const bytes = readFileSync(packed.tarball)
    const tarball = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
    const { messages } = await publint({ pack: { tarball }, strict: true })
    // The root has no "type" so that an old Node.js can say what is wrong; dist/ has its own.
    const found = messages.filter(({ code }) => code !== 'USE_TYPE')
    assert.deepEqual(found, [])
    const dist = join(consumer, 'node_modules/colmena/dist/package.json')
    assert.equal(JSON.parse(readFileSync(dist, 'utf8')).type, 'module')
  })

  it('is faultless to "are the types wrong"', async () => {
    const result = await checkPackage(createPackageFromTarballData(readFileSync(packed.tarball)))
    assert.ok(result.types !== false, 'no types at all')
    // That CommonJS gets an ES module is meant: every Node.js that we support can require it.
    // The resolution of Node.js 10 knows no "exports", and TypeScript itself has dropped it.
    const found = result.problems.filter(
      (problem) =>
        problem.kind !== 'CJSResolvesToESM' &&
        !(problem.kind === 'NoResolution' && problem.resolutionKind === 'node10'),
    )
    assert.deepEqual(found, [])
  })

  it('brings little', async () => {
    const manifest: Record<string, Record<string, string> | undefined> = JSON.parse(
      readFileSync(join(consumer, 'node_modules/colmena/package.json'), 'utf8'),
    )
    const core = await findPackageImports(
      join(consumer, 'node_modules/colmena/dist/index/index.js'),
    )
    assert.ok(core.length <= DEPENDENCIES_MAX, `the core depends on ${core.join(', ')}`)
    const sizeBytes = measureFolderBytes(join(consumer, 'node_modules'))
    assert.ok(sizeBytes > 100_000 && sizeBytes <= INSTALLED_BYTES_MAX, `${sizeBytes} bytes`)
    const installs = ['preinstall', 'install', 'postinstall']
    assert.deepEqual(
      installs.filter((name) => name in (manifest['scripts'] ?? {})),
      [],
      'installing runs no code',
    )
  })
})

const strict = {
  target: 'es2022',
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
  noEmit: true,
  types: ['node'],
}
const tsc = fileURLToPath(new URL('bin/tsc', import.meta.resolve('typescript/package.json')))

describe('a consumer compiles', () => {
  before(() => linkTypes(consumer))
  const use = (load: string): string => `${load}
import type { ColmenaNode, NodeStatus, ResultSet } from 'colmena'
import type { createServer, Server } from 'colmena/server'
declare const serve: typeof createServer
export async function use(): Promise<number> {
  const node: ColmenaNode = await open({ dataDir: './data', signal: undefined })
  node.on('leader', (leader) => console.log(leader))
  const status: NodeStatus = await node.status()
  const result: ResultSet = await node.database().execute('SELECT ?', [1])
  // @ts-expect-error: the types are no "any"
  await node.database().execute(42)
  // @ts-expect-error: an unknown option
  await open({ dataDirectory: './data' })
  const server: Server = await serve(node, { port: 0, tokens: { token: 'read' } })
  // @ts-expect-error: no such right
  await serve(node, { tokens: { token: 'all' } })
  await server.close()
  await node[Symbol.asyncDispose]()
  return result.rows.length + status.version.length
}
try {
  void use()
} catch (error) {
  if (error instanceof ColmenaError && error.code === 'ERR_BUNDLED') console.log(error.outcome)
}
`
  const esModule = use("import { ColmenaError, open } from 'colmena'")
  const required = use(
    "import colmena = require('colmena')\nconst { ColmenaError, open } = colmena",
  )
  const projects = {
    'NodeNext, as an ES module': {
      file: 'use.mts',
      content: esModule,
      options: { module: 'nodenext' },
    },
    'NodeNext, required by CommonJS': {
      file: 'use.cts',
      content: required,
      options: { module: 'nodenext' },
    },
    'Bundler resolution': {
      file: 'use.ts',
      content: esModule,
      options: { module: 'esnext', moduleResolution: 'bundler' },
    },
  }
  for (const [name, { file, content, options }] of Object.entries(projects)) {
    it(`under ${name}`, async () => {
      const folder = join(consumer, `types-${file.split('.')[1]}`)
      const config = { compilerOptions: { ...strict, ...options }, files: [file] }
      write(folder, { [file]: content, 'tsconfig.json': JSON.stringify(config) })
      const { status, stdout, stderr } = await runNode(process.execPath, folder, [tsc, '-p', '.'])
      assert.equal(stdout + stderr, '')
      assert.equal(status, 0)
    })
  }
})

describe('the package is loaded', () => {
  it('by import and by require, as one', async () => {
    const program = `
      const required = require('colmena')
      import('colmena').then((imported) => {
        console.log(required.open === imported.open, Object.keys(imported).sort().join(' '))
      })`
    write(consumer, { 'load.cjs': program })
    const { stdout, stderr } = await runNode(process.execPath, consumer, ['load.cjs'])
    assert.equal(stderr, '')
    const functions =
      'describeLog findMoment handler isColmenaError open openReplay planRecovery recover ' +
      'restoreNode rollLog wipe withConsistency'
    assert.equal(stdout, `true ColmenaError SqlError ${functions}\n`)
  })

  it('with its server, which is not loaded without being asked for', async () => {
    const program = `
      const { registerHooks } = require('node:module')
      const loaded = []
      registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) })
      const isServer = (url) => /hono|prom-client|dist\\/server/.test(url)
      require('colmena')
      console.log(loaded.length > 10, loaded.filter(isServer).length)
      console.log(Object.keys(require('colmena/server')).sort().join(' '), loaded.some(isServer))`
    write(consumer, { 'server.cjs': program })
    const { stdout, stderr } = await runNode(process.execPath, consumer, ['server.cjs'])
    assert.equal(stderr, '')
    assert.equal(stdout, 'true 0\ncreateHandler createServer true\n')
  })

  it('with what makes certificates, which only that loads', async () => {
    const program = `
      const { registerHooks } = require('node:module')
      const loaded = []
      registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) })
      require('colmena')
      require('colmena/server')
      const before = loaded.filter((url) => /peculiar|reflect-metadata/.test(url)).length
      const { createAuthority } = require('colmena/certificates')
      createAuthority().then(({ cert }) => console.log(before, cert.split('\\n')[0]))`
    write(consumer, { 'certificates.cjs': program })
    const { stdout, stderr } = await runNode(process.execPath, consumer, ['certificates.cjs'])
    assert.equal(stderr, '')
    assert.equal(stdout, '0 -----BEGIN CERTIFICATE-----\n')
  })

  it('with targets of backups, of which only S3 brings packages', async () => {
    const program = `
      const { registerHooks } = require('node:module')
      const loaded = []
      registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) })
      const isOfS3 = (url) => /node_modules\\/(aws4|sax)|dist\\/backup\\/s3/.test(url)
      require('colmena')
      const { directoryTarget, testTarget } = require('colmena/backup')
      const before = loaded.filter(isOfS3).length
      const { s3Target } = require('colmena/backup/s3')
      const target = s3Target({ bucket: 'b-1', accessKeyId: 'a', secretAccessKey: 's' })
      console.log(before, loaded.some(isOfS3), target.label)
      Promise.all(testTarget(() => directoryTarget('targets')).map(({ run }) => run())).then(
        (done) => console.log(done.length > 20),
      )`
    write(consumer, { 'targets.cjs': program })
    const { stdout, stderr } = await runNode(process.execPath, consumer, ['targets.cjs'])
    assert.equal(stderr, '')
    assert.equal(stdout, '0 true s3://b-1\ntrue\n')
  })

  it('with what forms clusters, each of which loads no more than it needs', async () => {
    const program = `
      const { registerHooks } = require('node:module')
      const loaded = []
      registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) })
      const rest = /multicast|peculiar|hono|prom-client|dist\\/(server|jobs|lan)/
      require('colmena')
      const without = loaded.some((url) => /dist\\/cluster/.test(url))
      for (const name of ['dns', 'fly', 'lan']) {
        const names = Object.keys(require('colmena/' + name)).sort()
        console.log(names.join(' '), without, loaded.filter((url) => rest.test(url)).length > 0)
      }`
    write(consumer, { 'clusters.cjs': program })
    const { stdout, stderr } = await runNode(process.execPath, consumer, ['clusters.cjs'])
    assert.equal(stderr, '')
    const expected = ['startDns false false', 'fromEnv startFly false false', 'startLan false true']
    assert.equal(stdout, `${expected.join('\n')}\n`)
  })

  it('with nodes for tests, which bring no package and come only when asked for', async () => {
    const program = `
      const { registerHooks } = require('node:module')
      const loaded = []
      registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) })
      const count = (part) => loaded.filter((url) => url.includes(part)).length
      require('colmena')
      const before = count('dist/testing')
      const { createTestNode, ...others } = require('colmena/testing')
      createTestNode().then(async (node) => {
        await node.database().execute('CREATE TABLE notes (text)')
        await node.close()
        const isAlone = count('node_modules/') === count('/colmena/')
        console.log(before, count('dist/testing') > 0, isAlone)
        console.log(Object.keys(others).sort().join(' '))
      })`
    write(consumer, { 'testing.cjs': program })
    const { stdout, stderr } = await runNode(process.execPath, consumer, ['testing.cjs'])
    assert.equal(stderr, '')
    assert.equal(stdout, '0 true true\nConvergenceError createTestCluster\n')
  })

  it('with its dialects, which want their tools only when they are used', async () => {
    const program = `
      const { ColmenaDialect } = require('colmena/kysely')
      const { knexClient } = require('colmena/knex')
      for (const use of [() => new ColmenaDialect({}), () => knexClient({})]) {
        try {
          use()
        } catch ({ code, message }) {
          console.log(code, message.split(': ').at(-1))
        }
      }`
    write(consumer, { 'dialects.cjs': program })
    const { stdout, stderr } = await runNode(process.execPath, consumer, ['dialects.cjs'])
    assert.equal(stderr, '')
    const missing = ['kysely', 'knex'].map((name) => `ERR_MISSING_PACKAGE npm install ${name}\n`)
    assert.equal(stdout, missing.join(''))
  })

  it('brings the command', async () => {
    const bin = join(consumer, 'node_modules/.bin/colmena')
    assert.ok(existsSync(bin), 'npm links it')
    const version = await runNode(process.execPath, consumer, [bin, '--version'])
    assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/)
    const wrong = await runNode(process.execPath, consumer, [bin, 'serve', '--slow-ms', 'x'])
    assert.match(wrong.stderr, /--slow-ms is 'x'/)
    assert.equal(wrong.status, 2)
  })

  it('without node and server where the command asks running ones', async () => {
    const program = `
      const { registerHooks } = require('node:module')
      const loaded = []
      registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) })
      const rest = /hono|prom-client|peculiar|dist\\/(index|node|server|demo|certificates)/
      const isNeeded = (url) => !rest.test(url)
      process.on('exit', () => console.log(loaded.length > 10, loaded.every(isNeeded)))
      process.argv.push('exec', 'SELECT 1', '--url', 'http://127.0.0.1:1')
      import('./node_modules/colmena/dist/cli/colmena.js')`
    write(consumer, { 'command.cjs': program })
    const { status, stdout, stderr } = await runNode(process.execPath, consumer, ['command.cjs'])
    assert.match(stderr, /port that HTTP clients refuse/)
    assert.deepEqual([status, stdout], [1, 'true true\n'])
  })

  it('only by its name', async () => {
    const program = `
      import('colmena/dist/index/index.js').catch(({ code }) => console.log(code))
      console.log(require('colmena/package.json').name)`
    write(consumer, { 'deep.cjs': program })
    const { stdout } = await runNode(process.execPath, consumer, ['deep.cjs'])
    assert.equal(stdout, 'colmena\nERR_PACKAGE_PATH_NOT_EXPORTED\n')
  })

  it('and waits for nothing while loading: no top-level await', () => {
    const found: string[] = []
    for (const file of readProject().filter(({ path }) => /^src\/.*\.ts$/.test(path))) {
      walk(parseSource(file), (node, parents) => {
        const waits = node.type === 'AwaitExpression' || node['await'] === true
        const isInside = parents.some(
          (parent) => isNode(parent) && /Function|Method/.test(parent.type),
        )
        if (waits && !isInside) found.push(`${file.path}:${lineOf(node)}`)
      })
    }
    assert.deepEqual(found, [])
  })
})

describe("the README's first screen runs from an empty folder", () => {
  const row = /^\[ \{ who: 'Ada', at: '[\d: -]+' \} \]\n$/
  let folder = ''
  before(() => {
    folder = installConsumer(packed, 'first')
  })

  async function runFirstScreens(
    node: string,
    name: string,
    endings: readonly ('mjs' | 'ts' | 'cjs')[],
  ): Promise<void> {
    for (const ending of endings) {
      const code = await readFirstScreen()
      const required = code.replace("await import('colmena')", "require('colmena')")
      assert.notEqual(required, code, 'the first screen imports the package')
      write(folder, { [`first.${ending}`]: ending === 'cjs' ? required : code })
      const place = join(folder, `${name}-${ending}`)
      mkdirSync(place)
      const { status, stdout, stderr } = await runNode(node, place, [`../first.${ending}`])
      assert.equal(stderr, '', ending)
      assert.match(stdout, row, ending)
      assert.equal(status, 0, ending)
    }
  }

  it('with the Node.js of this repository', () =>
    runFirstScreens(process.execPath, 'pinned', ['mjs', 'cjs']))

  it('with Node.js 26', async (t) => {
    if (!hasNode26) {
      t.diagnostic('Node.js 26 comes with `npm ci` on Linux x64 only: nothing was run')
      assert.equal(existsSync(node26), false)
      return
    }
    const { stdout } = await runNode(node26, consumer, ['--version'])
    assert.match(stdout, /^v26\./)
    // Both bring a command named node; `npx node` and npm's scripts must go on to mean the pinned.
    const command = await runNode(join(root, 'node_modules/.bin/node'), consumer, ['--version'])
    const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    assert.equal(command.stdout, `v${devDependencies.node}\n`)
    await runFirstScreens(node26, '26', ['ts', 'cjs'])
  })
})

describe('a bundle', () => {
  const program = `
    import { open } from 'colmena'
    import { existsSync } from 'node:fs'
    async function main() {
      const node = await open({ dataDir: './data-of-bundle', bootstrap: true })
      const { rows } = await node.database().execute('SELECT 1 AS one')
      console.log(JSON.stringify(rows))
      await node.close()
    }
    main().catch(({ name, code, message }) => {
      console.log(JSON.stringify({ name, code, message, touched: existsSync('./data-of-bundle') }))
    })`

  async function bundle(name: string, options: BuildOptions): Promise<string> {
    const folder = join(consumer, `bundle-${name}`)
    write(folder, { 'app.mjs': program })
    const result = await build({
      absWorkingDir: folder,
      entryPoints: ['app.mjs'],
      outfile: join(folder, `out.${options.format === 'cjs' ? 'cjs' : 'mjs'}`),
      bundle: true,
      platform: 'node',
      logLevel: 'silent',
      ...options,
    })
    assert.deepEqual(result.errors, [])
    const file = options.format === 'cjs' ? 'out.cjs' : 'out.mjs'
    const { stdout, stderr } = await runNode(process.execPath, folder, [file])
    assert.equal(stderr, '')
    return stdout
  }

  it('that leaves the package outside works', async () => {
    const external = ['colmena']
    assert.equal(await bundle('external-esm', { format: 'esm', external }), '[{"one":1}]\n')
    assert.equal(await bundle('external-cjs', { format: 'cjs', external }), '[{"one":1}]\n')
  })

  const buildMachine = '"file:///on/the/build/machine/node_modules/colmena/dist/node/threads.js"'
  const swallowed: Readonly<Record<string, BuildOptions>> = {
    'an ES module': { format: 'esm' },
    CommonJS: { format: 'cjs' },
    'paths of the machine that built it': {
      format: 'esm',
      define: { 'import.meta.url': buildMachine },
    },
  }
  for (const [name, options] of Object.entries(swallowed)) {
    it(`that swallowed it into ${name} is told how to leave it out`, async () => {
      const output = await bundle(`into-${name.replaceAll(' ', '-')}`, options)
      const { message, ...rest } = JSON.parse(output)
      assert.deepEqual(rest, { name: 'ColmenaError', code: 'ERR_BUNDLED', touched: false })
      assert.match(message, /serverExternalPackages.*ssr\.external.*external: \['colmena'\]/)
    })
  }
})

describe('the example for Vitest', () => {
  const folder = (): string => join(consumer, 'vitest')
  before(() => {
    cpSync(join(root, 'examples/vitest'), folder(), { recursive: true })
    write(folder(), { 'package.json': '{ "type": "module" }' })
    const link = join(consumer, 'node_modules/vitest')
    symlinkSync(join(root, 'node_modules/vitest'), link, 'junction')
  })

  it('compiles', async () => {
    const options = { module: 'nodenext', allowImportingTsExtensions: true, skipLibCheck: true }
    const config = { compilerOptions: { ...strict, ...options }, include: ['*.ts'] }
    write(folder(), { 'tsconfig.json': JSON.stringify(config) })
    const { stdout, stderr } = await runNode(process.execPath, folder(), [tsc, '-p', '.'])
    assert.equal(stdout + stderr, '')
  })

  it('runs on the package, file by file and test beside test', async () => {
    const vitest = fileURLToPath(new URL('vitest.mjs', import.meta.resolve('vitest/package.json')))
    const args = [vitest, 'run', '--reporter=json', '--outputFile=report.json']
    const { status, stdout, stderr } = await runNode(process.execPath, folder(), args)
    assert.equal(status, 0, stdout + stderr)
    const report = JSON.parse(readFileSync(join(folder(), 'report.json'), 'utf8'))
    assert.equal(report.numPassedTests, 4)
  })
})

describe('the image of the example for Compose', () => {
  const dockerfile = readFileSync(join(root, 'examples/compose/Dockerfile'), 'utf8')
  let folder = ''
  before(() => {
    folder = buildImage(packed, 'compose', dockerfile)
  })

  it('has a program that compiles', async () => {
    linkTypes(folder)
    const options = { module: 'nodenext', allowImportingTsExtensions: true, skipLibCheck: true }
    const config = { compilerOptions: { ...strict, ...options }, include: ['*.ts'] }
    write(folder, { 'tsconfig.json': JSON.stringify(config) })
    const { stdout, stderr } = await runNode(process.execPath, folder, [tsc, '-p', '.'])
    assert.equal(stdout + stderr, '')
  })

  it('has a program that starts, and says what it is not given', async () => {
    const [program, ...args] = commandOf(dockerfile)
    assert.equal(program, 'node')
    const { status, stderr } = await runNode(process.execPath, folder, args)
    assert.equal(status, 1)
    assert.match(stderr, /COLMENA_DNS_NAME is missing/)
  })
})

describe('the image of the example for Fly.io', () => {
  it('has a command that says what it is not given', async () => {
    const dockerfile = readFileSync(join(root, 'examples/fly/Dockerfile'), 'utf8')
    const folder = buildImage(packed, 'fly', dockerfile)
    const [program, ...args] = commandOf(dockerfile)
    assert.equal(program, 'node')
    const { status, stderr } = await runNode(process.execPath, folder, args)
    assert.equal(status, 1)
    assert.match(stderr, /FLY_MACHINE_ID, FLY_PRIVATE_IP, FLY_REGION, FLY_APP_NAME are missing/)
  })
})
