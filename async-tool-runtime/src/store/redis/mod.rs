//! Tasks in a Redis or Valkey server.
