//! What is written, and to whom: documents for programs, tables for people.

pub(crate) mod look;
pub(crate) mod table;
pub(crate) mod text;

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

pub(crate) use look::{Look, Paint};
pub(crate) use table::{Cell, Column, Table};

/// Where a command writes.
pub(crate) struct Out<'a> {
    /// What was asked for.
    pub(crate) to: &'a mut dyn Write,
    /// What is said beside it, to people.
    pub(crate) notes: &'a mut dyn Write,
    /// JSON, not text.
    pub(crate) json: bool,
    /// How text may look.
    pub(crate) look: Look,
}

impl Out<'_> {
    /// A document, on one line.
    pub(crate) fn json(&mut self, document: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string(document)?;
        writeln!(self.to, "{}", text::json(&text))
    }

    /// A line of text; it has no control characters but its own colours.
    pub(crate) fn line(&mut self, line: impl fmt::Display) -> io::Result<()> {
        writeln!(self.to, "{line}")
    }

    pub(crate) fn table(&mut self, table: &Table) -> io::Result<()> {
        for line in table.lines(self.look) {
            self.line(line)?;
        }
        Ok(())
    }

    /// Something beside what was asked for.
    pub(crate) fn note(&mut self, note: impl fmt::Display) -> io::Result<()> {
        writeln!(self.notes, "{note}")
    }
}

/// What a test has written.
#[cfg(test)]
pub(crate) struct Written {
    pub(crate) out: String,
    pub(crate) notes: String,
}

#[cfg(test)]
impl Written {
    /// The document, of which there is one.
    pub(crate) fn document(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

/// Runs something that writes, as if to a pipe.
#[cfg(test)]
pub(crate) async fn written<T>(
    json: bool,
    run: impl AsyncFnOnce(&mut Out<'_>) -> T,
) -> (T, Written) {
    let (mut to, mut notes) = (Vec::new(), Vec::new());
    let mut out = Out {
        to: &mut to,
        notes: &mut notes,
        json,
        look: Look::PIPE,
    };
    let done = run(&mut out).await;
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let written = Written {
        out: text(to),
        notes: text(notes),
    };
    (done, written)
}
