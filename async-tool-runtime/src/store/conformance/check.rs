//! How a case says that something is wrong.

use std::fmt;
use std::panic::Location;

use crate::store::StoreError;

/// What a case comes to.
pub(super) type Outcome = Result<(), Failure>;

/// What a part of a case comes to.
pub(super) type Part<T = ()> = Result<T, Problem>;

#[derive(Debug)]
pub(super) enum Failure {
    /// The store broke the contract, or could not do what it was asked.
    Broken {
        problem: Problem,
        at: &'static Location<'static>,
    },
    /// The case did not come to its end by itself.
    Outside(Problem),
    /// The machine was too slow for this case to tell anything.
    TooSlow,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { problem, at } => {
                let file = at.file().rsplit(['/', '\\']).next().unwrap_or_default();
                write!(f, "{} ({file}:{})", problem.0, at.line())
            }
            Self::Outside(problem) => f.write_str(&problem.0),
            Self::TooSlow => f.write_str("calls take too long for the lease of this suite"),
        }
    }
}

/// What is wrong; `?` in a case adds where.
#[derive(Debug)]
pub(super) struct Problem(String);

impl Problem {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl From<Problem> for Failure {
    #[track_caller]
    fn from(problem: Problem) -> Self {
        Self::Broken {
            problem,
            at: Location::caller(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let causes = std::iter::successors(std::error::Error::source(&error), |e| e.source());
        Self(causes.fold(format!("an error: {error}"), |message, cause| {
            format!("{message}: {cause}")
        }))
    }
}

impl From<StoreError> for Failure {
    #[track_caller]
    fn from(error: StoreError) -> Self {
        Problem::from(error).into()
    }
}

/// A value, unless it is too long to be read.
pub(super) fn shown(value: &dyn fmt::Debug) -> String {
    const LONGEST: usize = 300;
    let mut text = format!("{value:?}");
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Fails unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            let problem = $crate::store::conformance::check::Problem::new(format!($($message)+));
            return Err(problem.into());
        }
    };
}

/// Fails unless what was found is what must be.
macro_rules! ensure_eq {
    ($found:expr, $expected:expr) => {
        match (&$found, &$expected) {
            (found, expected) => ensure!(
                *found == *expected,
                "{} is {} and must be {}",
                stringify!($found),
                $crate::store::conformance::check::shown(&found),
                $crate::store::conformance::check::shown(&expected)
            ),
        }
    };
}

/// The cases of a file.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(super) const CASES: &[super::Case] = &[$(super::Case {
            name: stringify!($name),
            run: |space| Box::pin($name(space)),
        }),*];
    };
}
