//! How text may look where it is shown.

use std::io::IsTerminal;

use console::{Term, truncate_str};

/// What the place can show that text is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// Columns of a terminal; lines that go elsewhere may be as long as they are.
    pub(crate) width: Option<usize>,
    /// Rows of a terminal on which what was written can be overwritten.
    pub(crate) height: Option<usize>,
    pub(crate) colour: bool,
}

impl Look {
    /// Of a pipe or a file.
    pub(crate) const PIPE: Self = Self {
        width: None,
        height: None,
        colour: false,
    };

    /// Of standard output.
    pub(crate) fn of_stdout() -> Self {
        let term = Term::stdout();
        if !std::io::stdout().is_terminal() {
            return Self::PIPE;
        }
        let (rows, columns) = term.size();
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            width: Some(usize::from(columns)),
            height: (!dumb).then(|| usize::from(rows)),
            // Which knows of NO_COLOR.
            colour: !dumb && term.features().colors_supported(),
        }
    }

    /// No longer than a line of the terminal.
    pub(crate) fn line(self, paint: Paint, text: &str) -> String {
        let width = self.width.unwrap_or(usize::MAX);
        self.paint(paint, &truncate_str(text, width, "…"))
    }

    pub(crate) fn paint(self, paint: Paint, text: &str) -> String {
        match paint.code() {
            Some(code) if self.colour && !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
}

/// What a text is, by which it gets its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Plain,
    Head,
    Faint,
    Good,
    Bad,
    Warn,
    Busy,
}

impl Paint {
    /// Of the sixteen that every terminal has and lets its user choose.
    fn code(self) -> Option<u8> {
        Some(match self {
            Self::Plain => return None,
            Self::Head => 1,
            Self::Faint => 2,
            Self::Bad => 31,
            Self::Good => 32,
            Self::Warn => 33,
            Self::Busy => 36,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_those_who_see_them() {
        let colour = Look {
            colour: true,
            ..Look::PIPE
        };
        assert_eq!(colour.paint(Paint::Bad, "failed"), "\x1b[31mfailed\x1b[0m");
        assert_eq!(colour.paint(Paint::Plain, "failed"), "failed");
        assert_eq!(Look::PIPE.paint(Paint::Bad, "failed"), "failed");
        let narrow = Look {
            width: Some(4),
            ..colour
        };
        assert_eq!(narrow.line(Paint::Bad, "failed"), "\x1b[31mfai…\x1b[0m");
    }
}
