//! Prints how a build ended.

use async_tool::client::Failure;
use indicatif::HumanBytes;
use serde::Deserialize;

use crate::build_tools::report::{BuildReport, CompileFailure, Diagnostic, Profile};

/// Prints what was built on standard output, and warnings on standard error.
pub(crate) fn print(report: &BuildReport) {
    print_diagnostics(&report.warnings, report.warnings_omitted);
    let profile = match report.profile {
        Profile::Dev => "dev",
        Profile::Release => "release",
    };
    println!(
        "Built in {:.1} s ({profile} profile), {} crates compiled.",
        report.seconds, report.crates_compiled
    );
    let names = report.binaries.iter().map(|binary| binary.name.len());
    let width = names.max().unwrap_or_default();
    for binary in &report.binaries {
        println!();
        let size = HumanBytes(binary.size).to_string();
        println!("{:width$}  {size:>10}  {}", binary.name, binary.path);
        println!("{:width$}  {:>10}  {}", "", "sha256", binary.sha256);
    }
}

/// Prints why nothing was built on standard error: the compiler's errors, if
/// there are any.
pub(crate) fn print_failure(failure: &Failure) {
    if let Some(Ok(details)) = failure.details.as_ref().map(CompileFailure::deserialize) {
        print_diagnostics(&details.errors, details.errors_omitted);
        if !details.output.is_empty() {
            eprintln!("{}\n", details.output);
        }
    }
    eprintln!("error: {failure}");
}

fn print_diagnostics(diagnostics: &[Diagnostic], omitted: usize) {
    for diagnostic in diagnostics {
        eprintln!("{}\n", diagnostic.rendered.trim_end());
    }
    if omitted > 0 {
        eprintln!("… and {omitted} more\n");
    }
}
