export {
  ADDRESSES_MAX,
  checkNotAborted,
  type Discovery,
  discoveryClosed,
  discoveryFailed,
  type FindOptions,
  toAddress,
} from './discovery.ts'
