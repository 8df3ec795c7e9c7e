//! What cargo says on its error output.

/// One line of cargo's error output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Status<'a> {
    /// The progress bar: `Building [====>    ] 33/80: serde, syn(build)`.
    Counter {
        done: u64,
        total: u64,
        /// What is being compiled, as cargo abbreviates it.
        names: &'a str,
    },
    /// What cargo does next: `   Compiling serde v1.0.228`.
    Verb { verb: &'a str, subject: &'a str },
    /// Anything else: errors, warnings, output of what cargo runs.
    Text(&'a str),
}

impl<'a> Status<'a> {
    /// Reads a line. The format is cargo's and not promised, so what is not
    /// understood is text and never an error.
    pub(crate) fn parse(line: &'a str) -> Self {
        counter(line)
            .or_else(|| verb(line))
            .unwrap_or(Self::Text(line))
    }
}

fn counter(line: &str) -> Option<Status<'_>> {
    let (title, rest) = line.trim().split_once(' ')?;
    // A narrow bar is left out altogether.
    let rest = match rest.strip_prefix('[') {
        Some(bar) => bar.split_once("] ")?.1,
        None => rest,
    };
    let (ratio, names) = rest.split_once(": ").unwrap_or((rest, ""));
    let (done, total) = ratio.trim().split_once('/')?;
    let (done, total) = (done.parse().ok()?, total.parse().ok()?);
    let sound = title.chars().all(char::is_alphabetic) && done <= total;
    sound.then_some(Status::Counter { done, total, names })
}

/// Cargo aligns its verbs to the right, in twelve columns.
fn verb(line: &str) -> Option<Status<'_>> {
    let (columns, subject) = line.split_at_checked(12)?;
    let verb = columns.trim_start();
    let sound = verb.starts_with(|first: char| first.is_ascii_uppercase())
        && verb
            .chars()
            .all(|letter| letter.is_ascii_alphabetic() || letter == '-')
        && subject.starts_with(' ')
        && !subject.starts_with(" [");
    sound.then(|| Status::Verb {
        verb,
        subject: subject.trim(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &Status<'_>) {
        assert_eq!(&Status::parse(line), expected);
    }

    #[test]
    fn the_bar_gives_counts_and_names() {
        check(
            "    Building [========================>  ] 38/42: regex, clap_builder                 ",
            &Status::Counter {
                done: 38,
                total: 42,
                names: "regex, clap_builder",
            },
        );
        check(
            "    Building [>                          ] 0/7: syn(build.rs), logtally(bin)",
            &Status::Counter {
                done: 0,
                total: 7,
                names: "syn(build.rs), logtally(bin)",
            },
        );
    }

    #[test]
    fn the_bar_may_have_no_names_and_no_width() {
        let expected = Status::Counter {
            done: 3,
            total: 3,
            names: "",
        };
        check("    Building [=======] 3/3", &expected);
        check("    Building 3/3", &expected);
        check("Building [] 3/3", &expected);
    }

    #[test]
    fn verbs_are_told_from_text_by_their_column() {
        check(
            "   Compiling logtally v0.1.0 (/srv/1/2/logtally)",
            &Status::Verb {
                verb: "Compiling",
                subject: "logtally v0.1.0 (/srv/1/2/logtally)",
            },
        );
        check(
            "   Doc-tests logtally",
            &Status::Verb {
                verb: "Doc-tests",
                subject: "logtally",
            },
        );
        check(
            "    Blocking waiting for file lock on build directory",
            &Status::Verb {
                verb: "Blocking",
                subject: "waiting for file lock on build directory",
            },
        );
    }

    #[test]
    fn everything_else_is_text() {
        for line in [
            "",
            "error: could not compile `x` (bin \"x\") due to 1 previous error",
            "warning: unused variable: `x`",
            "Caused by:",
            "  process didn't exit successfully: `rustc` (exit status: 1)",
            "    Building [====>    ] 9/3: more done than there is",
            "    Building [====>    ] 99999999999999999999999/3",
            "    Building [====>    ",
            "é é é é é é é é é é 1/2",
        ] {
            check(line, &Status::Text(line));
        }
    }
}
