//! What users read when they make a mistake, and in which surroundings an
//! expansion compiles. See `tests/ui/README.md`.

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*/fail/*.rs");
    cases.pass("tests/ui/*/pass/*.rs");
}
