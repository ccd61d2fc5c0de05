import { type CallOptions, ColmenaError, type Database, type Transaction } from '../index.ts'

const VERSION = 1

/** What an insert into `colmena_job_fence` fails with. */
export const FENCE_MESSAGE = 'the attempt of this job is over'

/** What an insert into `colmena_jobs` fails with, whose `after` names what is not there. */
export const NO_JOB_MESSAGE = 'a job that it is to run after is not there'

/** SQL as it is written here, without what only its readers need: it goes into the log. */
export function dense(sql: string): string {
  return sql.replaceAll(/\s+/g, ' ').trim()
}

/** The time of the log entry in milliseconds, the same on all nodes. */
export const NOW = "CAST(unixepoch('subsec') * 1000 AS INTEGER)"

/**
 * `state` is what users see. `ready` is 1 where a job can be claimed, 0 where it waits for its
 * time, and NULL in all other states: the indexes over it are as short as what there is to do.
 *
 * `tries` is how often it was asked to be tried, `max_attempts` the attempt that is the last one by
 * now, and `failures` how many failed since somebody asked: the rest after a failure goes by those.
 *
 * What a job waits for is in `colmena_job_waits`, from its insert on; triggers release it or let
 * it fail with what it waits for, whoever ended that and how.
 */
const TABLES: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS colmena_jobs (
     seq INTEGER PRIMARY KEY AUTOINCREMENT,
     id TEXT NOT NULL UNIQUE,
     type TEXT NOT NULL,
     state TEXT NOT NULL CHECK (state IN
       ('waiting', 'pending', 'running', 'succeeded', 'failed', 'dead', 'cancelled')),
     ready INTEGER,
     args TEXT NOT NULL,
     priority INTEGER NOT NULL,
     run_at INTEGER NOT NULL,
     max_attempts INTEGER NOT NULL,
     tries INTEGER NOT NULL,
     failures INTEGER NOT NULL DEFAULT 0,
     timeout_ms INTEGER NOT NULL,
     backoff TEXT NOT NULL,
     unique_key TEXT,
     lane TEXT,
     tags TEXT NOT NULL,
     after TEXT,
     after_failure TEXT NOT NULL,
     attempt INTEGER NOT NULL DEFAULT 0,
     claim TEXT,
     node TEXT,
     lease_until INTEGER,
     is_cancelled INTEGER NOT NULL DEFAULT 0,
     progress TEXT,
     result TEXT,
     error TEXT,
     enqueued_at INTEGER NOT NULL,
     started_at INTEGER,
     finished_at INTEGER
   )`,
  `CREATE INDEX IF NOT EXISTS colmena_jobs_ready
     ON colmena_jobs (type, priority DESC, run_at, seq) WHERE ready = 1`,
  `CREATE INDEX IF NOT EXISTS colmena_jobs_lanes
     ON colmena_jobs (type, lane, priority DESC, run_at, seq)
     WHERE ready = 1 AND lane IS NOT NULL`,
  'CREATE INDEX IF NOT EXISTS colmena_jobs_due ON colmena_jobs (run_at, type) WHERE ready = 0',
  `CREATE INDEX IF NOT EXISTS colmena_jobs_running
     ON colmena_jobs (type, lane) WHERE state = 'running'`,
  `CREATE INDEX IF NOT EXISTS colmena_jobs_finished
     ON colmena_jobs (finished_at, type, state) WHERE finished_at IS NOT NULL`,
  `CREATE INDEX IF NOT EXISTS colmena_jobs_waiting
     ON colmena_jobs (type) WHERE state = 'waiting'`,
  `CREATE UNIQUE INDEX IF NOT EXISTS colmena_jobs_unique ON colmena_jobs (type, unique_key)
     WHERE unique_key IS NOT NULL AND finished_at IS NULL`,
  `CREATE TABLE IF NOT EXISTS colmena_job_types (
     type TEXT PRIMARY KEY,
     is_paused INTEGER NOT NULL DEFAULT 0,
     concurrency INTEGER,
     rate_max INTEGER,
     rate_ms INTEGER,
     lane_concurrency INTEGER,
     lane_rate_max INTEGER,
     lane_rate_ms INTEGER,
     turn INTEGER NOT NULL DEFAULT 0
   ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS colmena_job_starts (
     seq INTEGER PRIMARY KEY,
     type TEXT NOT NULL,
     lane TEXT,
     at INTEGER NOT NULL
   )`,
  'CREATE INDEX IF NOT EXISTS colmena_job_starts_types ON colmena_job_starts (type, at)',
  `CREATE INDEX IF NOT EXISTS colmena_job_starts_lanes
     ON colmena_job_starts (type, lane, at) WHERE lane IS NOT NULL`,
  'CREATE INDEX IF NOT EXISTS colmena_job_starts_times ON colmena_job_starts (at)',
  `CREATE TABLE IF NOT EXISTS colmena_job_attempts (
     job TEXT NOT NULL,
     attempt INTEGER NOT NULL,
     node TEXT,
     started_at INTEGER,
     ended_at INTEGER NOT NULL,
     outcome TEXT NOT NULL,
     error TEXT,
     log TEXT,
     PRIMARY KEY (job, attempt)
   ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS colmena_job_steps (
     job TEXT NOT NULL,
     name TEXT NOT NULL,
     result TEXT NOT NULL,
     PRIMARY KEY (job, name)
   ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS colmena_job_waits (
     job TEXT NOT NULL,
     after TEXT NOT NULL,
     is_over INTEGER NOT NULL DEFAULT 0,
     PRIMARY KEY (job, after)
   ) WITHOUT ROWID`,
  'CREATE INDEX IF NOT EXISTS colmena_job_waits_after ON colmena_job_waits (after, is_over)',
  `CREATE TABLE IF NOT EXISTS colmena_job_schedules (
     id TEXT PRIMARY KEY,
     type TEXT NOT NULL,
     args TEXT NOT NULL,
     pattern TEXT NOT NULL,
     time_zone TEXT NOT NULL,
     catch_up TEXT NOT NULL,
     options TEXT NOT NULL,
     next_at INTEGER,
     last_at INTEGER,
     last_job TEXT,
     fired INTEGER NOT NULL DEFAULT 0
   ) WITHOUT ROWID`,
  `CREATE INDEX IF NOT EXISTS colmena_job_schedules_next
     ON colmena_job_schedules (next_at) WHERE next_at IS NOT NULL`,
  // Nothing ever stays in it: an insert looks whether the attempt still holds, and that is all.
  'CREATE TABLE IF NOT EXISTS colmena_job_fence (job TEXT NOT NULL, attempt INTEGER NOT NULL)',
  'CREATE TABLE IF NOT EXISTS colmena_job_format (version INTEGER NOT NULL)',
]

const TRIGGERS: readonly string[] = [
  `CREATE TRIGGER IF NOT EXISTS colmena_job_fenced BEFORE INSERT ON colmena_job_fence
   BEGIN
     SELECT CASE WHEN EXISTS (
       SELECT 1 FROM colmena_jobs
       WHERE id = NEW.job AND attempt = NEW.attempt AND state = 'running')
     THEN RAISE(IGNORE) ELSE RAISE(ABORT, '${FENCE_MESSAGE}') END;
   END`,
  `CREATE TRIGGER IF NOT EXISTS colmena_job_waits_begin AFTER INSERT ON colmena_jobs
   WHEN NEW.after IS NOT NULL
   BEGIN
     SELECT RAISE(ABORT, '${NO_JOB_MESSAGE}')
     WHERE EXISTS (
       SELECT 1 FROM json_each(NEW.after) AS a
       WHERE NOT EXISTS (SELECT 1 FROM colmena_jobs WHERE id = a.value));
     INSERT OR IGNORE INTO colmena_job_waits (job, after, is_over)
       SELECT NEW.id, d.id, d.state = 'succeeded'
         OR (d.finished_at IS NOT NULL AND NEW.after_failure = 'run')
       FROM json_each(NEW.after) AS a JOIN colmena_jobs AS d ON d.id = a.value;
     UPDATE colmena_jobs SET state = 'pending', ready = (run_at <= enqueued_at)
     WHERE id = NEW.id AND state = 'waiting'
       AND NOT EXISTS (SELECT 1 FROM colmena_job_waits WHERE job = NEW.id AND is_over = 0);
   END`,
  `CREATE TRIGGER IF NOT EXISTS colmena_job_waits_end AFTER UPDATE OF finished_at ON colmena_jobs
   WHEN NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL
     AND EXISTS (SELECT 1 FROM colmena_job_waits WHERE job = NEW.id OR after = NEW.id)
   BEGIN
     DELETE FROM colmena_job_waits WHERE job = NEW.id;
     UPDATE colmena_job_waits SET is_over = 1
     WHERE after = NEW.id AND is_over = 0 AND (NEW.state = 'succeeded' OR EXISTS (
       SELECT 1 FROM colmena_jobs WHERE id = colmena_job_waits.job AND after_failure = 'run'));
     UPDATE colmena_jobs SET state = 'pending', ready = (run_at <= NEW.finished_at)
     WHERE state = 'waiting'
       AND id IN (SELECT job FROM colmena_job_waits WHERE after = NEW.id AND is_over = 1)
       AND NOT EXISTS (
         SELECT 1 FROM colmena_job_waits WHERE job = colmena_jobs.id AND is_over = 0);
   END`,
]

const SET_UP: readonly string[] = [
  ...TABLES,
  ...TRIGGERS,
  `INSERT INTO colmena_job_format (version)
     SELECT ${VERSION} WHERE NOT EXISTS (SELECT 1 FROM colmena_job_format)`,
]

/** Makes the tables, once in the whole cluster. @throws ColmenaError as a write. */
export async function setUp(database: Database, signal: AbortSignal): Promise<void> {
  const here = { consistency: 'none', signal } as const
  if (await isSetUp(database, here)) return
  await database.batch([...SET_UP], { mode: 'write', signal })
  await checkFormat(database, here)
}

/** Whether the tables are there. @throws ColmenaError as a read; ERR_UNSUPPORTED_FORMAT */
export async function isSetUp(database: Database, options: CallOptions): Promise<boolean> {
  const sql = "SELECT 1 FROM sqlite_schema WHERE name = 'colmena_job_format'"
  const { rows } = await database.execute(sql, [], options)
  if (rows.length === 0) return false
  await checkFormat(database, options)
  return true
}

async function checkFormat(database: Database, options: CallOptions): Promise<void> {
  const { rows } = await database.execute<{ version: number }>(
    'SELECT max(version) AS version FROM colmena_job_format',
    [],
    options,
  )
  const version = rows[0]?.version ?? VERSION
  if (version <= VERSION) return
  throw new ColmenaError(
    'ERR_UNSUPPORTED_FORMAT',
    `the jobs of this cluster have format ${version}, and this version of Colmena knows up to ` +
      `${VERSION}: upgrade it`,
  )
}

/**
 * The same as a part of `tx`, where this node's file has no tables yet: a write of its own would
 * wait for the end of `tx`, which waits for it.
 */
export async function setUpIn(tx: Transaction, database: Database): Promise<void> {
  if (!(await isSetUp(database, { consistency: 'none' }))) await tx.batch([...SET_UP])
}
