/**
 * The allow-lists of the guard. A name that SQLite gains in a later version stays refused in writes
 * until someone has looked whether every node answers it alike.
 */

function words(text: string): ReadonlySet<string> {
  return new Set(text.split(/\s+/).filter((word) => word !== ''))
}

/** Functions that a write may call: the same answer on every node, or frozen by us. */
export const WRITE_FUNCTIONS: ReadonlySet<string> = words(`
  -> ->> abs acos acosh asin asinh atan atan2 atanh avg bm25 ceil ceiling changes char coalesce
  concat concat_ws cos cosh count cume_dist current_date current_time current_timestamp date
  datetime degrees dense_rank exp first_value floor format fts5 fts5_get_locale fts5_insttoken
  fts5_locale geopoly_area geopoly_bbox geopoly_blob geopoly_ccw geopoly_contains_point
  geopoly_group_bbox geopoly_json geopoly_overlap geopoly_regular geopoly_svg geopoly_within
  geopoly_xform glob group_concat hex highlight if ifnull iif instr json json_array
  json_array_insert json_array_length json_error_position json_extract json_group_array
  json_group_object json_insert json_object json_patch json_pretty json_quote json_remove
  json_replace json_set json_type json_valid jsonb jsonb_array jsonb_array_insert jsonb_extract
  jsonb_group_array jsonb_group_object jsonb_insert jsonb_object jsonb_patch jsonb_remove
  jsonb_replace jsonb_set julianday lag last_insert_rowid last_value lead length like likelihood
  likely ln log log10 log2 lower ltrim match matchinfo max median min mod nth_value ntile nullif
  octet_length offsets optimize percent_rank percentile percentile_cont percentile_disc pi pow power
  printf quote radians random randomblob rank regexp replace round row_number rtrim sign sin sinh
  snippet sqrt strftime string_agg substr substring subtype sum tan tanh time timediff total trim
  trunc typeof unhex unicode unistr unistr_quote unixepoch unlikely upper zeroblob
`)

/** Functions that only a read may call, since each node answers for itself; and why. */
export const READ_FUNCTIONS: ReadonlyMap<string, string> = new Map([
  ['total_changes', 'it counts the changes of one connection, which differ between nodes'],
  ['sqlite_version', 'members may run different versions of SQLite'],
  ['sqlite_source_id', 'members may run different versions of SQLite'],
  ['fts5_source_id', 'members may run different versions of SQLite'],
  ['sqlite_compileoption_get', 'members may run different builds of SQLite'],
  ['sqlite_compileoption_used', 'members may run different builds of SQLite'],
  ['rtreecheck', 'it looks at how a table is stored, not at what it holds'],
  ['rtreedepth', 'it looks at how a table is stored, not at what it holds'],
  ['rtreenode', 'it looks at how a table is stored, not at what it holds'],
])

/** Functions that nobody may call. */
export const REFUSED_FUNCTIONS: ReadonlyMap<string, string> = new Map([
  ['load_extension', 'extensions would have to be the same on every node'],
  ['fts3_tokenizer', 'it hands out pointers of one process'],
  ['sqlite_log', "it writes into this process's log"],
  ['geopoly_debug', 'it prints from this process'],
])

/** Functions that ALTER TABLE calls on its own behalf. */
export const ALTER_FUNCTIONS: ReadonlySet<string> = words(`
  sqlite_add_constraint sqlite_drop_column sqlite_drop_constraint sqlite_fail sqlite_find_constraint
  sqlite_rename_column sqlite_rename_quotefix sqlite_rename_table sqlite_rename_test
`)

/** Modules that CREATE VIRTUAL TABLE may name. */
export const MODULES: ReadonlySet<string> = words(`
  fts3 fts3tokenize fts4 fts4aux fts5 fts5vocab geopoly rtree rtree_i32
`)

/** Built-in tables that look into the engine: a read may, a write must not depend on them. */
export function isEngineTable(name: string): boolean {
  return (
    name.startsWith('pragma_') ||
    ['bytecode', 'completion', 'dbstat', 'sqlite_dbpage', 'sqlite_stmt', 'tables_used'].includes(
      name,
    )
  )
}

/** Pragmas that virtual tables ask on their own behalf while a write runs. */
export const MODULE_PRAGMAS: ReadonlySet<string> = words('data_version page_size')

/** Tables that hold what ANALYZE found. */
export function isStatisticsTable(name: string): boolean {
  return /^sqlite_stat\d$/.test(name)
}

/** Names of Colmena's own tables, which no statement of a user may touch. */
export function isOwnName(name: string | null): boolean {
  return name?.toLowerCase().startsWith('_colmena_') ?? false
}
