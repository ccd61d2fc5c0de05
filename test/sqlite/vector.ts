/** A real extension, as npm installed it: sqlite-vec's functions on vectors and its table. */
import { getLoadablePath } from 'sqlite-vec'
import type { Extension } from '../../src/sqlite/sqlite.ts'

export const VECTOR: Extension = { name: 'vec', version: '0.1.9', path: getLoadablePath() }

/** Its functions where a schema keeps them: a column made of another, an index, a CHECK, a view. */
export const VECTOR_SCHEMA: readonly string[] = [
  `CREATE TABLE v (
    id INTEGER PRIMARY KEY, body BLOB NOT NULL CHECK (vec_length(body) = 3),
    text GENERATED ALWAYS AS (vec_to_json(body)) STORED)`,
  'CREATE INDEX v_norm ON v (vec_to_json(vec_normalize(body)))',
  "CREATE VIEW near AS SELECT id, vec_distance_l2(body, vec_f32('[1,0,0]')) AS far FROM v",
  `CREATE TRIGGER doubled AFTER INSERT ON v WHEN new.id < 100 BEGIN
    INSERT INTO v (id, body) VALUES (new.id + 100, vec_add(new.body, new.body));
  END`,
  'CREATE VIRTUAL TABLE w USING vec0(body float[3])',
]
