//! Looks at the tasks of a store, and acts on them.

fn main() {}
