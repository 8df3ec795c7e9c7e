//! `logtally FILE` prints how many lines of each severity a log has, as JSON.

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use clap::Parser;

/// Count the lines of a log by severity.
#[derive(Parser)]
struct Cli {
    /// The log to read.
    log: PathBuf,
}

fn main() -> Result<(), Box<dyn Error>> {
    let log = BufReader::new(File::open(Cli::parse().log)?);
    let json = serde_json::to_string_pretty(&logtally::tally(log)?)?;
    if cfg!(feature = "colour") {
        println!("\x1b[32m{json}\x1b[0m");
    } else {
        println!("{json}");
    }
    Ok(())
}
