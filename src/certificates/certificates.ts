/**
 * Makes the certificates that nodes know each other by: a CA of a cluster's own, and for each node
 * one that carries its node id. Promises keys that never leave the caller's hands, certificates
 * that `open` takes as `tls`, and an error that names what is wrong with a CA. Where keys are kept,
 * and who may have one, is the caller's business.
 */
export {
  type Authority,
  type AuthorityOptions,
  authorityFingerprint,
  createAuthority,
} from './authority.ts'
export { type IssueOptions, issueCertificate, type NodeCertificate } from './node-certificate.ts'
