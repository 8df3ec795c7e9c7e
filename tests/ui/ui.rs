//! What users read when they make a mistake, and in which surroundings an
//! expansion compiles. See `README.md`.

/// By themselves, because trybuild hands all cases to cargo at once where none
/// of them is to run.
#[test]
fn fail() {
    trybuild::TestCases::new().compile_fail("*/fail/*.rs");
}

#[test]
fn pass() {
    trybuild::TestCases::new().pass("*/pass/*.rs");
}
