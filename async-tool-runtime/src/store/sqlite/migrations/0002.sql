-- A task may need several concurrency keys: `[["key",limit],…]`.
ALTER TABLE tasks ADD COLUMN concurrency TEXT;
UPDATE tasks SET concurrency = json_array(json_array(concurrency_key, concurrency_limit))
  WHERE concurrency_key IS NOT NULL;

-- The keys that owned tasks hold.
CREATE TABLE holders (
  ns INTEGER NOT NULL,
  key TEXT NOT NULL,
  task INTEGER NOT NULL,
  PRIMARY KEY (ns, key, task)
) STRICT, WITHOUT ROWID;
INSERT INTO holders (ns, key, task) SELECT ns, concurrency_key, seq FROM tasks
  WHERE concurrency_key IS NOT NULL AND owner IS NOT NULL;

DROP INDEX tasks_holders;
ALTER TABLE tasks DROP COLUMN concurrency_key;
ALTER TABLE tasks DROP COLUMN concurrency_limit;
