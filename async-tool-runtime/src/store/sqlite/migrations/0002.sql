-- What a task's attempts asked, as JSON, until it has ended. Behind all other
-- columns: rows of tasks that never asked do not have it, and are as they were.
ALTER TABLE tasks ADD COLUMN input TEXT;
