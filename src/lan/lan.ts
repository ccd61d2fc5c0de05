export { MdnsDiscovery } from './mdns-discovery.ts'
