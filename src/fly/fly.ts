export { FlyDiscovery } from './fly-discovery.ts'
