//! Tasks in a PostgreSQL database.
