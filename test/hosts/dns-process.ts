/** A DNS server on its host, whose zone its parent sends. */
import { DnsServer, type ZoneRecord } from '../cluster/dns-server.ts'

/** All there is, by name. */
export type Zone = readonly (readonly [name: string, records: readonly ZoneRecord[]])[]

const [host = '', port = ''] = process.argv.slice(2)
const server = await DnsServer.start(host, Number(port))
process.on('message', (zone: Zone) => {
  server.zone.clear()
  for (const [name, records] of zone) server.add(name, ...records)
  process.send?.(zone.length)
})
// Whoever started this is gone.
process.on('disconnect', () => process.exit())
process.send?.(0)
