//! How a case says that something is wrong.

use std::fmt;
use std::panic::Location;

use crate::store::StoreError;

/// What a case comes to.
pub(super) type Outcome<T = ()> = Result<T, Failure>;

#[derive(Debug)]
pub(super) enum Failure {
    /// The store broke the contract, or could not do what it was asked.
    Broken {
        message: String,
        at: &'static Location<'static>,
    },
    /// The machine was too slow for this case to tell anything.
    TooSlow,
}

impl Failure {
    #[track_caller]
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self::Broken {
            message: message.into(),
            at: Location::caller(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { message, at } => {
                let file = at.file().rsplit(['/', '\\']).next().unwrap_or_default();
                write!(f, "{message} ({file}:{})", at.line())
            }
            Self::TooSlow => f.write_str("calls take too long for the lease of this suite"),
        }
    }
}

impl From<StoreError> for Failure {
    #[track_caller]
    fn from(error: StoreError) -> Self {
        let causes = std::iter::successors(std::error::Error::source(&error), |e| e.source());
        let message = causes.fold(format!("an error: {error}"), |message, cause| {
            format!("{message}: {cause}")
        });
        Self::new(message)
    }
}

/// Fails the case unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::store::conformance::check::Failure::new(format!($($message)+)));
        }
    };
}

/// Fails the case unless what was found is what must be.
macro_rules! ensure_eq {
    ($found:expr, $expected:expr) => {
        match (&$found, &$expected) {
            (found, expected) => ensure!(
                *found == *expected,
                "{} is {found:?} and must be {expected:?}",
                stringify!($found).replace('\n', " ")
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
