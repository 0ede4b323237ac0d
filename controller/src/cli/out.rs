//! What users see.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

/// Writes to standard output.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Tells what went wrong.
pub(super) fn error(message: &str) {
    let red = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
    let text =
        if colours(&io::stderr()) { format!("{red}error:{red:#} {message}\n") } else { format!("error: {message}\n") };
    // Nobody is left to tell of a failure here.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Tells what should be known besides the result.
pub(super) fn note(message: &str) {
    let _ = io::stderr().write_all(format!("{message}\n").as_bytes());
}

/// Colours are for terminals, unless NO_COLOR says otherwise.
pub(super) fn colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

pub(super) fn yaml(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_saphyr::to_string(value)?)
}

pub(super) fn json(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// Whoever read our output has seen enough.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
