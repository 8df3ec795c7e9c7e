//! Asking before something is deleted.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::failure::Failure;

/// Asks whoever sits at the terminal. Anything but a yes is a no.
///
/// # Errors
///
/// [`Failure::Usage`] if there is no terminal on which to ask.
pub(super) fn on_terminal(question: &str) -> Result<bool, Failure> {
    let (input, mut output) = (io::stdin(), io::stderr());
    if !input.is_terminal() || !output.is_terminal() {
        return Err(Failure::Usage(
            "there is no terminal to ask on; `--yes` says that it is meant".to_owned(),
        ));
    }
    write!(output, "{question} [y/N] ")?;
    output.flush()?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(is_yes("y\n") && is_yes(" YES \n"));
        assert!(!is_yes("") && !is_yes("\n") && !is_yes("yesterday\n"));
    }
}
