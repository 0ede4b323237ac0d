//! Suites of domains.

use ostler_conf::{Domain, format, parse};

use super::case::{Case, Verdict};
use super::compare::same_text;

/// The expected document, read and written again, is itself; cases without one are not judged and don't hold.
pub(super) fn canonical(case: &Case) -> Verdict {
    let expected = case.expected_xml()?.ok_or("no expected document")?;
    let value = parse::<Domain>(&expected).map_err(|error| format!("refused: {error}"))?.value;
    same_text(&expected, &format(&value))
}
