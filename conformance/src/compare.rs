//! How what was produced is held against what is expected.

use ostler_conf::Invalid;

use super::Verdict;
use super::case::{Case, Outcome};

/// Holds the text that was made of a case, or its refusal, against what the case expects.
pub(super) fn verdict(case: &Case, produced: Result<String, Invalid>) -> Verdict {
    match (case.outcome(), produced) {
        (Outcome::Refused | Outcome::Either, Err(error)) => {
            let code = error.first().code;
            let differs = case.error_code().filter(|expected| *expected != i64::from(code.number()));
            Ok(differs.map(|expected| format!("refused with code {}, libvirt's is {expected}: {error}", code.number())))
        }
        (Outcome::Refused, Ok(_)) => Err("accepted, a refusal was expected".to_owned()),
        (Outcome::Accepted, Err(error)) => Err(format!("refused: {error}")),
        (Outcome::Accepted | Outcome::Either, Ok(text)) => match case.expected_xml()? {
            Some(expected) => same_text(&expected, &text),
            None => Ok(None),
        },
    }
}

/// Whether both are the same; else the first line that differs. A text lacks its last newline at will.
pub(super) fn same_text(expected: &str, produced: &str) -> Verdict {
    let with_newline =
        |text: &str| if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
    let (expected, produced) = (with_newline(expected), with_newline(produced));
    if expected == produced {
        return Ok(None);
    }
    let (mut ours, mut theirs) = (produced.lines(), expected.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (theirs.next(), ours.next()) {
            (Some(theirs), Some(ours)) if theirs == ours => {}
            (None, None) => return Err("differs in blanks at the end".to_owned()),
            (theirs, ours) => {
                let show = |line: Option<&str>| line.map_or("the end".to_owned(), |line| format!("'{}'", line.trim()));
                return Err(format!("line {number}: expected {}, got {}", show(theirs), show(ours)));
            }
        }
    }
}
