/** Ports, paths, names and times of the examples for containers, held against the code. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { parse as parseToml } from 'smol-toml'
import { parse, parseAllDocuments } from 'yaml'
import { LEAVE_MS_MAX } from '../../src/cluster/cluster-node.ts'
import { open } from '../../src/index.ts'
import { SERVER_OPTION_DEFAULTS } from '../../src/server/options.ts'
import { createServer } from '../../src/server/server.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import { until } from '../processes/wait.ts'
import { commandOf, stepsOf } from './dockerfile.ts'

const root = new URL('../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')

/** The one thing in the text of a file that the pattern's group finds. */
function find(path: string, pattern: RegExp): string {
  const [found, ...more] = [...read(path).matchAll(pattern)].map(([, group]) => group)
  assert.ok(found !== undefined && more.length === 0, `${pattern} is in ${path} once`)
  return found
}

const program = 'examples/compose/main.ts'
const nodePort = Number(find('src/cluster/options.ts', /^export const PORT = (\d+)$/gm))
const httpPort = Number(find(program, /^ {2}port: (\d+),$/gm))
const dataDir = find(program, /\['COLMENA_DATA_DIR'\] \?\? '([^']+)'/g)
const joinMs = Number(
  find('src/cluster/options.ts', /^const JOIN_TIMEOUT_MS = ([\d_]+)$/gm).replaceAll('_', ''),
)
/** What the program needs; it says so where one is missing. */
const required = [...read(program).matchAll(/read\('(\w+)'\)/g)].map(([, name]) => name).sort()
/** Leaving, and the requests that are under way before. */
const stopMs = LEAVE_MS_MAX + (SERVER_OPTION_DEFAULTS.closeTimeoutMs as number)

function toSeconds(text: string): number {
  const [, number, unit] = /^(\d+)(s|m)$/.exec(text) ?? []
  assert.ok(number !== undefined, `${text} is a duration`)
  return Number(number) * (unit === 'm' ? 60 : 1)
}

async function answers(t: Parameters<typeof temporaryDirectory>[0], path: string): Promise<number> {
  await using node = await open({ dataDir: temporaryDirectory(t) })
  await until('it is ready', async () => (await node.status()).ready)
  const server = await createServer(node, { port: 0 })
  try {
    return (await fetch(new URL(path, server.url))).status
  } finally {
    await server.close()
  }
}

describe('the image of compose', () => {
  const dockerfile = read('examples/compose/Dockerfile')
  const { engines } = JSON.parse(read('package.json'))

  it('has a Node.js that the package runs on', () => {
    const [major] = /(?<=^node:)\d+(?=-slim$)/.exec(stepsOf(dockerfile, 'FROM')[0] ?? '') ?? []
    assert.equal(engines.node.match(/\d+/)?.[0], major)
  })

  it('exposes what the program listens on, and keeps what it writes', () => {
    assert.deepEqual(stepsOf(dockerfile, 'EXPOSE'), [`${nodePort} ${httpPort}`])
    assert.deepEqual(stepsOf(dockerfile, 'VOLUME'), [dataDir])
    assert.deepEqual(stepsOf(dockerfile, 'ENV'), [`COLMENA_DATA_DIR=${dataDir}`])
    assert.deepEqual(commandOf(dockerfile), ['node', 'main.ts'])
  })
})

describe('compose.yaml', () => {
  const { services, volumes } = parse(read('examples/compose/compose.yaml'), { merge: true })
  const names = Object.keys(services)

  it('has three nodes, each with a volume and a name of its own', () => {
    assert.equal(names.length, 3)
    for (const name of names) {
      assert.equal(services[name].hostname, name)
      assert.deepEqual(services[name].volumes, [`${name}:${dataDir}`])
    }
    assert.deepEqual(Object.keys(volumes), names)
  })

  it('gives all of them the name by which they look for each other', () => {
    for (const name of names) {
      const { environment, networks } = services[name]
      assert.deepEqual(networks.default.aliases, [environment.COLMENA_DNS_NAME])
    }
  })

  it('gives the program what it needs, and asks for what is secret', () => {
    for (const name of names) {
      const { environment } = services[name]
      assert.deepEqual(Object.keys(environment).sort(), required)
      assert.match(environment.COLMENA_SECRET, /^\$\{COLMENA_SECRET:\?/)
      assert.match(environment.COLMENA_TOKEN, /^\$\{COLMENA_TOKEN:\?/)
    }
  })

  it('publishes the port of the HTTP server on loopback alone', () => {
    for (const name of names) {
      assert.match(services[name].ports.join(' '), new RegExp(`^127\\.0\\.0\\.1:\\d+:${httpPort}$`))
    }
  })

  it('waits for longer than a node takes to leave', () => {
    for (const name of names) {
      assert.ok(toSeconds(services[name].stop_grace_period) * 1_000 > stopMs)
    }
  })

  it('asks for health where the server tells it', async (t) => {
    const [, , , code] = services[names[0] as string].healthcheck.test
    const [, port, path] = /127\.0\.0\.1:(\d+)(\/\w+)'/.exec(code) ?? []
    assert.equal(Number(port), httpPort)
    assert.equal(await answers(t, path as string), 200)
  })
})

describe('the manifest for Kubernetes', () => {
  const documents = parseAllDocuments(read('examples/kubernetes/colmena.yaml'))
  const all = documents.map((document) => document.toJS())
  const one = (kind: string, name = 'colmena') =>
    all.find((object) => object.kind === kind && object.metadata.name === name)
  const { spec } = one('StatefulSet')
  const pod = spec.template.spec
  const [container] = pod.containers
  const ports = new Map(container.ports.map((port: { name: string }) => [port.name, port]))

  it('has no mistakes in its YAML', () => {
    for (const { errors } of documents) assert.deepEqual(errors, [])
    assert.equal(all.length, 5)
  })

  it('lets nodes see each other before they are ready, and start together', () => {
    const service = one('Service')
    assert.equal(service.spec.clusterIP, 'None')
    assert.equal(service.spec.publishNotReadyAddresses, true)
    assert.equal(spec.podManagementPolicy, 'Parallel')
    assert.equal(spec.serviceName, service.metadata.name)
    const [{ value }] = container.env
    assert.equal(value, `${service.metadata.name}.default.svc.cluster.local`)
  })

  it('means the same pods everywhere', () => {
    const { labels } = spec.template.metadata
    assert.deepEqual(spec.selector.matchLabels, labels)
    assert.deepEqual(one('Service').spec.selector, labels)
    assert.deepEqual(one('Service', 'colmena-http').spec.selector, labels)
    assert.deepEqual(one('PodDisruptionBudget').spec.selector.matchLabels, labels)
    const [rule] = pod.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution
    assert.deepEqual(rule.labelSelector.matchLabels, labels)
  })

  it('opens the ports of the program', () => {
    assert.deepEqual(ports.get('raft'), { name: 'raft', containerPort: nodePort })
    assert.deepEqual(ports.get('http'), { name: 'http', containerPort: httpPort })
    assert.equal(one('Service').spec.ports[0].port, nodePort)
    assert.deepEqual(one('Service', 'colmena-http').spec.ports, [
      { name: 'http', port: httpPort, targetPort: 'http' },
    ])
  })

  it('gives the program what it needs, and a volume where it writes', () => {
    const names = container.env.map(({ name }: { name: string }) => name).sort()
    assert.deepEqual(names, ['COLMENA_DATA_DIR', ...required].sort())
    const keys = container.env.flatMap(
      (variable: { valueFrom?: { secretKeyRef: { key: string } } }) =>
        variable.valueFrom?.secretKeyRef.key ?? [],
    )
    assert.deepEqual(keys, Object.keys(one('Secret').stringData))
    const [mount] = container.volumeMounts
    assert.equal(mount.mountPath, dataDir)
    assert.equal(mount.name, spec.volumeClaimTemplates[0].metadata.name)
  })

  it('asks for health where the server tells it', async (t) => {
    const probes = ['startupProbe', 'livenessProbe', 'readinessProbe']
    const gets = probes.map((probe) => container[probe].httpGet)
    assert.deepEqual(
      gets.map(({ port }) => port),
      ['http', 'http', 'http'],
    )
    for (const path of new Set<string>(gets.map((get) => get.path))) {
      assert.equal(await answers(t, path), 200)
    }
  })

  it('has patience with a first start, and with a node that leaves', () => {
    const { periodSeconds, failureThreshold } = container.startupProbe
    assert.ok(periodSeconds * failureThreshold * 1_000 > joinMs)
    assert.ok(pod.terminationGracePeriodSeconds * 1_000 > stopMs)
  })

  it('never lets a drain take two of three', () => {
    assert.equal(one('PodDisruptionBudget').spec.maxUnavailable, 1)
    assert.equal(spec.replicas, 3)
  })
})

describe('fly.toml', () => {
  // What it parses to has no prototypes, which is nobody's concern here.
  const config = JSON.parse(JSON.stringify(parseToml(read('examples/fly/fly.toml'))))
  const dockerfile = read('examples/fly/Dockerfile')
  const machine = 'src/demo/machine.ts'
  const volume = find('src/fly/environment.ts', /^const DATA_DIR = '([^']+)'$/gm)
  const pagePort = Number(find(machine, /\bport = (\d+),/g))

  it('sends visitors, and asks for health, where the page is', () => {
    const { internal_port: port, checks } = config.http_service
    const { node } = config.checks
    assert.deepEqual([port, node.port], [pagePort, pagePort])
    assert.equal(node.path, find(machine, /^const HEALTH_PATH = '([^']+)'$/gm))
    // Else all machines were out of reach once there is no majority: just when people look.
    assert.equal(checks, undefined)
    assert.deepEqual(stepsOf(dockerfile, 'EXPOSE'), [String(pagePort)])
  })

  it('mounts the volume where the node keeps its data', () => {
    assert.deepEqual(config.mounts, [{ source: 'colmena', destination: volume }])
    assert.deepEqual(stepsOf(dockerfile, 'ENV'), [`COLMENA_DATA_DIR=${volume}`])
  })

  it('ends machines by the signal that they leave at, and waits for that', () => {
    const signals = find('src/fly/departure.ts', /^const SIGNALS = \[([^\]]+)\] as const$/gm)
    assert.ok(signals.includes(`'${config.kill_signal}'`))
    assert.ok(config.kill_timeout * 1_000 > LEAVE_MS_MAX)
  })

  it('deploys one machine after the other, stops none, and starts again what ends', () => {
    assert.deepEqual(config.deploy, { strategy: 'rolling', max_unavailable: 1 })
    assert.equal(config.http_service.auto_stop_machines, 'off')
    assert.equal(config.restart[0].policy, 'always')
  })

  it('begins with more than half of four machines', () => {
    assert.ok(Number(config.env.COLMENA_BOOTSTRAP_EXPECT) > 2)
    assert.match(read('src/fly/environment.ts'), /COLMENA_BOOTSTRAP_EXPECT/)
  })

  it('starts what the package brings', () => {
    const [program, file, ...args] = commandOf(dockerfile)
    assert.equal(program, 'node')
    const { bin } = JSON.parse(read('package.json'))
    assert.equal(file, `node_modules/colmena/${bin.colmena.replace(/^\.\//, '')}`)
    assert.deepEqual(args, ['demo', '--fly'])
  })
})

describe('the pages of the examples', () => {
  const places = {
    compose: 'in Docker',
    kubernetes: 'on Kubernetes',
    fly: 'in Docker, nor on Fly.io',
  }
  for (const [name, place] of Object.entries(places)) {
    it(`say that ${name} was not run where it belongs`, () => {
      assert.ok(read(`examples/${name}/README.md`).includes(`**Not run ${place}**`))
    })
  }
})
