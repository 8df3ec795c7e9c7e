//! What came out.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// What came out of a run.
#[derive(Debug, Clone)]
pub struct Report {
    cases: Vec<CaseReport>,
}

/// What came out of a case.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CaseReport {
    /// The case, and the sentence of the contract.
    pub name: Cow<'static, str>,
    /// What was wrong; none if the store keeps this sentence.
    pub failure: Option<String>,
    /// How long it took.
    pub took: Duration,
}

impl CaseReport {
    pub(super) fn new(name: impl Into<Cow<'static, str>>, failure: Option<String>) -> Self {
        Self {
            name: name.into(),
            failure,
            took: Duration::ZERO,
        }
    }
}

impl Report {
    pub(super) fn new(cases: Vec<CaseReport>) -> Self {
        Self { cases }
    }

    /// What came out of each case.
    pub fn cases(&self) -> &[CaseReport] {
        &self.cases
    }

    /// The names of the cases that failed.
    pub fn failed(&self) -> impl Iterator<Item = &str> {
        self.failures().map(|(name, _)| name)
    }

    fn failures(&self) -> impl Iterator<Item = (&str, &str)> {
        let failure = |case: &'_ CaseReport| case.failure.is_some();
        self.cases
            .iter()
            .filter(move |case| failure(case))
            .map(|case| (&*case.name, case.failure.as_deref().unwrap_or_default()))
    }

    /// Passes if no case failed.
    ///
    /// # Panics
    ///
    /// Otherwise, and says which ones failed and why.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.failed().next().is_none(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, all) = (self.failed().count(), self.cases.len());
        if failed == 0 {
            return write!(f, "the store keeps the contract: {all} cases passed");
        }
        write!(
            f,
            "the store breaks the contract: {failed} of {all} cases failed"
        )?;
        self.failures()
            .try_for_each(|(name, failure)| write!(f, "\n  {name}: {failure}"))
    }
}
