//! Looks at the tasks of a store, and acts on them.

mod args;
mod commands;
mod failure;
mod open;
mod output;
mod view;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use args::Cli;
use failure::{Failure, Verdict};
use output::{Look, Out};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut to = BufWriter::new(io::stdout().lock());
    let mut out = Out {
        to: &mut to,
        notes: &mut io::stderr(),
        json: cli.common.json,
        look: Look::of_stdout(),
    };
    let done = commands::run(cli, &mut out).await;
    let done = done.and_then(|verdict| Ok(to.flush().map(|()| verdict)?));
    match done {
        Ok(Verdict::Well) => ExitCode::SUCCESS,
        Ok(Verdict::Amiss) => ExitCode::from(1),
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            let error = Cli::command().error(ErrorKind::ValueValidation, message);
            // Standard error that is closed is nobody's who reads.
            let _ = error.print();
            ExitCode::from(2)
        }
        Err(failure) => {
            let _ = writeln!(io::stderr(), "error: {failure}");
            ExitCode::from(1)
        }
    }
}
