/**
 * Colmena: replicated SQLite inside your Node.js process. Everything a user needs is here; what is
 * not exported may change at any time.
 */
// First, because on an old Node.js it must speak before anything else is loaded.
import './base/supported-runtime.ts'

export {
  ColmenaError,
  type ErrorCode,
  isColmenaError,
  type Outcome,
  SqlError,
} from './base/errors.ts'
export {
  type BatchMode,
  type BatchOptions,
  type BatchStatement,
  type CallOptions,
  type ColmenaNode,
  type Consistency,
  type Database,
  type DatabaseCopy,
  type DatabaseOptions,
  type DatabaseReader,
  type ErrorCounts,
  type HistogramValue,
  type InputArgs,
  type InputStatement,
  type InputValue,
  type Leader,
  type Logger,
  type MemberStatus,
  type MigrateOptions,
  type NodeEvents,
  type NodeMetrics,
  type NodeStatus,
  type OpenOptions,
  open,
  type PrepareOptions,
  type ReaderRow,
  type ReaderStatement,
  type ReaderValue,
  type ReadMetrics,
  type ResultSet,
  type Row,
  type SignalOptions,
  type SlowStatement,
  type StatementDescription,
  type TermStatus,
  type Transaction,
  type TransactionCallOptions,
  type TransactionMode,
  type Value,
  type WaitOptions,
  type WriteMetrics,
  type WriteTiming,
  withConsistency,
} from './node/node.ts'
