/** Makes a host and something that runs on it, says what, and waits to be killed. */
import { once } from 'node:events'
import { createHosts } from './hosts.ts'
import type { FromListener } from './listener.ts'

const hosts = await createHosts(1)
const { address, address6, port, multicastAddress } = hosts.host(0)
const args = [address, address6, String(port), multicastAddress]
const child = hosts.host(0).run(new URL('listener.ts', import.meta.url), args)
const [said] = (await once(child, 'message')) as [FromListener]
if (said.kind !== 'ready') throw new Error(said.kind)
// On loopback only the script itself could see to its end.
if (hosts.missing === null) hosts.host(0).run(new URL('endless.ts', import.meta.url))
process.send?.(child.pid)
